"""scikit-learn's side of kmeans: sklearn_kmeans.py FEATURES.npy CLUSTERS ALGORITHM; iteration i has seed i.
Protocol on stdin and stdout: see Worker in bench/harness/measure.py."""
import json
import resource
import sys
import time

import numpy as np
from sklearn.cluster import KMeans


def main():
    features, clusters, algorithm = np.load(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    KMeans(clusters, n_init=1, algorithm=algorithm).fit(features[:1000])  # loads what it loads late
    seed = 0
    print("{}", flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line.split()[1])):
            started = time.perf_counter()
            fitted = KMeans(clusters, n_init=10, random_state=seed, algorithm=algorithm).fit(features)
            seconds.append(time.perf_counter() - started)
            seed += 1
        print(json.dumps({"seconds": seconds, "peak_rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                          "account": {"inertia": float(fitted.inertia_)}}), flush=True)


if __name__ == "__main__":
    main()
