"""The compilation cache, each time in a process of its own: JAX looks at the setting once."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def compile_with(setting: str, **environment: str) -> dict:
    script = """
        import json, sys
        import jax, jax.monitoring
        from podmeta.distributed.compilation_cache import use_compilation_cache

        events = []
        jax.monitoring.register_event_listener(lambda name, **_: events.append(name))
        warnings = use_compilation_cache(sys.argv[1])
        value = jax.jit(lambda x: (x * 3).sum())(jax.numpy.arange(4.0))
        hits = events.count("/jax/compilation_cache/cache_hits")
        print(json.dumps({"warnings": warnings, "value": float(value), "hits": hits}))
    """
    inherited = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), setting],
        cwd=REPOSITORY,
        env=inherited | {"JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return json.loads(result.stdout)


def test_the_second_process_compiles_nothing_and_survives_damaged_entries(tmp_path):
    first = compile_with("auto", XDG_CACHE_HOME=str(tmp_path))
    assert first == {"warnings": [], "value": 18.0, "hits": 0}
    entries = [path for path in (tmp_path / "podmeta" / "jax").iterdir() if path.is_file()]
    assert entries
    assert compile_with("auto", XDG_CACHE_HOME=str(tmp_path))["hits"] > 0
    for entry in entries:
        os.truncate(entry, entry.stat().st_size // 2)
    assert compile_with("auto", XDG_CACHE_HOME=str(tmp_path))["value"] == 18.0


def test_a_path_wins_over_the_users_and_off_keeps_nothing(tmp_path):
    from_variable, chosen = tmp_path / "from_variable", tmp_path / "chosen"
    compile_with(str(chosen), JAX_COMPILATION_CACHE_DIR=str(from_variable))
    assert any(chosen.iterdir()) and not from_variable.exists()
    compile_with("off", JAX_COMPILATION_CACHE_DIR=str(from_variable))
    assert not from_variable.exists()
    compile_with("auto", JAX_COMPILATION_CACHE_DIR=str(from_variable), XDG_CACHE_HOME=str(tmp_path / "unused"))
    assert any(from_variable.iterdir()) and not (tmp_path / "unused").exists()


def test_a_place_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = compile_with(str(tmp_path / "file" / "cache"))
    assert result["value"] == 18.0
    assert "compilation_cache_dir" in result["warnings"][0]
