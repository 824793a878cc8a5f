"""The random streams of src/base/random.h: Philox4x32-10 (Salmon et al. 2011), named by seed, purpose, epoch, index."""
MULTIPLIER, WEYL, MASK = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85), 0xFFFFFFFF
SHUFFLE, KMEANS = 2, 5


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = MULTIPLIER[0] * c[0], MULTIPLIER[1] * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & MASK, a >> 32 ^ c[3] ^ k[1], a & MASK]
        k = [(x + w) & MASK for x, w in zip(k, WEYL)]
    return c


class Stream:
    def __init__(self, seed, purpose, epoch, index):
        hashed = philox([index & MASK, index >> 32, epoch, purpose], [seed & MASK, seed >> 32])
        self.key, self.counter, self.output = hashed[:2], [0, 0, hashed[2], hashed[3]], []

    def u32(self):
        if not self.output:
            self.output = philox(self.counter, self.key)
            self.counter[0] += 1
        return self.output.pop(0)

    def u64(self):
        return self.u32() << 32 | self.u32()

    def uniform(self):
        return (self.u64() >> 11) * 2.0 ** -53

    def below(self, bound):
        reject = (1 << 64) % bound
        while (value := self.u64()) < reject:
            pass
        return value % bound

    def permutation(self, count):
        order = list(range(count))
        for i in range(count, 1, -1):
            other = self.below(i)
            order[i - 1], order[other] = order[other], order[i - 1]
        return order
