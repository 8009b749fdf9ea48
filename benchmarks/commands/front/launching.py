"""The launcher that Hydra calls for ``launcher=NAME``, and what hands the jobs out.

Hydra's own plugins do it where they do it well (joblib, Ray). Jobs of SLURM and processes of this host with a log file
each are handed out by submitit (see `submission`): the plugin waits for ever for a job that was killed where SLURM
keeps no accounts, and gives up the others when one fails.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from ....messages import one_line
from .launchers import GROUP, HostKeys, RayKeys, plain_keys, without_launcher
from .share import gpus_here, share_of_host
from .submission import hand_out_here, hand_out_to_slurm

if TYPE_CHECKING:
    from .jobs import Jobs

logger = logging.getLogger("restorebench")

TARGET = "hydra_plugins.restorebench.Launcher"
"""By which Hydra knows `BenchLauncher`: it takes launchers of that package only."""


class BenchLauncher(Launcher):
    """Hands the jobs of a sweep out as ``launcher=`` says; Hydra makes it, sets it up and calls `launch` once."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives: its context, the `Jobs`, and the configuration of the sweep."""
        self.context, self.config = hydra_context, config
        self.jobs: Jobs[Any, Any, Any] = task_function  # type: ignore[assignment]
        self.name = str(config.hydra.runtime.choices[GROUP])

    @property
    def keys(self) -> dict[str, Any]:
        """What stands under ``launcher``."""
        return plain_keys(self.config)

    def gpus(self) -> list[str]:
        """GPUs of this host that the jobs may use; none where all are asked to stay on the CPU."""
        return gpus_here() if self.jobs.use_gpus else []

    def sweep_config(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job, Hydra's part included."""
        return self.context.config_loader.load_sweep_config(self.config, list(overrides))

    def handed_on(self, plugin: Launcher, overrides: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
        """Let a launcher of Hydra's run jobs."""
        plugin.setup(hydra_context=self.context, task_function=self.jobs, config=self.config)
        return plugin.launch(overrides, first)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs, each of which is overrides of the configuration; what became of them comes back as `Report`s."""
        if self.name == "joblib":
            return hand_out_to_joblib(self, job_overrides, initial_job_idx)
        if self.name == "ray":
            return hand_out_to_ray(self, job_overrides, initial_job_idx)
        hand_out = hand_out_to_slurm if self.name == "slurm" else hand_out_here
        return hand_out(self, job_overrides, initial_job_idx)


def offer_to_hydra() -> None:
    """Make `BenchLauncher` known to Hydra."""
    Plugins.instance().class_name_to_class[TARGET] = BenchLauncher


def hand_out_to_joblib(launcher: BenchLauncher, overrides: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
    """Run jobs in a pool of processes of this host."""
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

    keys = HostKeys(**launcher.keys)
    share = share_of_host(keys.workers, keys.threads, len(overrides), launcher.gpus())
    with share.told() as launcher.jobs.share:
        try:
            return launcher.handed_on(JoblibLauncher(n_jobs=share.workers), overrides, first)
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "joblib":
                raise
            logger.warning("a process of the pool ended early (%s); jobs are given out again, singly", one_line(error))
        # The pool ends with the first of its processes that dies, and does not say whose it was.
        for number, words in enumerate(overrides, first):
            config = launcher.sweep_config(words)
            if launcher.jobs.heard_of(config):
                continue
            try:
                launcher.handed_on(JoblibLauncher(n_jobs=2), [words], number)
            except Exception as error:
                if type(error).__module__.partition(".")[0] != "joblib":
                    raise
                launcher.jobs.lost(config, without_launcher(words), "its process was killed, or ended early", "")
    return []


def hand_out_to_ray(launcher: BenchLauncher, overrides: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
    """Run jobs as tasks of a Ray cluster, which gives each of them GPUs of its own."""
    from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher

    keys = RayKeys(**launcher.keys)
    here = launcher.gpus()
    share = share_of_host(keys.workers, keys.threads, len(overrides), here)
    gpus = (1 if here else 0) if str(keys.gpus) == "auto" else float(str(keys.gpus))
    new = {"num_cpus": share.workers * share.threads, "num_gpus": len(here)}
    cluster = {"init": {"address": keys.address} if keys.address else new}
    remote = {"num_cpus": share.threads, "num_gpus": gpus}
    with share.told():
        return launcher.handed_on(RayLauncher(ray=OmegaConf.create({**cluster, "remote": remote})), overrides, first)
