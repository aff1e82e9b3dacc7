"""A cluster's workers as SLURM jobs, by dask-jobqueue (`pip install dask-jobqueue`).

    python cluster/slurm.py --workers 32 --interface ib0 --tls tls

starts a scheduler on this machine, prints its address, and starts a job for each worker that
extracts, until it is interrupted. `tls` is a folder that the nodes share, with certificates as
`cluster/certificates.sh tls scheduler worker client` makes them. Then, beside it:

    daskingest worker ADDRESS --for saver ...
    daskingest run articles.csv --scheduler ADDRESS ...
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import dask
from dask_jobqueue import SLURMCluster
from distributed.security import Security

from daskingest.pipeline.dask_settings import DASK_CONFIG, EXTRACT


def main() -> None:
    """Run the cluster until it is interrupted."""
    parser = argparse.ArgumentParser(description="A cluster's workers as SLURM jobs.")
    parser.add_argument("--workers", type=int, default=16, help="jobs, of one core each")
    parser.add_argument("--partition", help="where the jobs run")
    parser.add_argument("--account", help="whose they are")
    parser.add_argument("--walltime", default="04:00:00", help="how long one may take")
    parser.add_argument("--interface", help="the network that the nodes share, such as ib0")
    parser.add_argument("--tls", type=Path, help="a folder with certificates")
    parser.add_argument("--print", action="store_true", help="print a job's script, and end")
    given = parser.parse_args()
    with dask.config.set(DASK_CONFIG):
        cluster = SLURMCluster(
            cores=1,
            processes=1,
            memory="4GiB",
            queue=given.partition,
            account=given.account,
            walltime=given.walltime,
            interface=given.interface,
            job_name="daskingest",
            protocol="tls://" if given.tls else "tcp://",
            security=_security(given.tls.resolve()) if given.tls else None,
            worker_extra_args=["--resources", f"{EXTRACT}=1", "--no-dashboard"],
            job_extra_directives=["--signal=TERM@60", "--requeue"],
        )
        with cluster:
            if given.print:
                print(cluster.job_script())
                return
            cluster.scale(jobs=given.workers)
            print(cluster.scheduler_address, flush=True)
            signal.sigwait({signal.SIGINT, signal.SIGTERM})


def _security(folder: Path) -> Security:
    return Security(
        require_encryption=True,
        tls_ca_file=str(folder / "ca.pem"),
        **{f"tls_{role}_cert": str(folder / f"{role}.pem") for role in _ROLES},
        **{f"tls_{role}_key": str(folder / f"{role}-key.pem") for role in _ROLES},
    )


_ROLES = ("scheduler", "worker", "client")

if __name__ == "__main__":
    main()
