package main

import (
	"context"
	"os"
	"path/filepath"
)

// pythonProbe fails if the client in Python cannot run.
const pythonProbe = `import sys, grpc, grpc_tools, grpc_status
sys.exit(None if sys.version_info >= (3, 10) else "Python is older than 3.10")`

func pythonClient(ctx context.Context, w *workspace) (client, error) {
	dir := filepath.Join(w.root, "examples", "python")
	python, err := pythonWithGRPC(ctx, w.root, filepath.Join(dir, "requirements.txt"))
	if err != nil {
		return client{}, err
	}
	proto := filepath.Join("..", "..", "proto")
	err = runTool(ctx, dir, python, "-m", "grpc_tools.protoc", "-I", proto, "--python_out=.", "--grpc_python_out=.",
		filepath.Join(proto, "sauron", "v1", "generation_service.proto"))
	return client{name: "Python", dir: dir, env: w.isolated(), argv: []string{python, "client.py"}}, err
}

// pythonWithGRPC returns the interpreter that the environment variable PYTHON names,
// else that of the checkout's own virtual environment, which it makes if need be.
func pythonWithGRPC(ctx context.Context, root, requirements string) (string, error) {
	if named := os.Getenv("PYTHON"); named != "" {
		python, err := lookPath(named)
		if err != nil {
			return "", err
		}
		if err := runTool(ctx, root, python, "-c", pythonProbe); err != nil {
			return "", missing("%v", err)
		}
		return python, nil
	}
	venv := filepath.Join(root, ".build", "venv")
	python := filepath.Join(venv, "bin", "python")
	if runTool(ctx, root, python, "-c", pythonProbe) == nil {
		return python, nil
	}
	system, err := lookPath("python3")
	if err != nil {
		return "", err
	}
	for _, command := range [][]string{
		{system, "-m", "venv", venv},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements},
		{python, "-c", pythonProbe},
	} {
		if err := runTool(ctx, root, command...); err != nil {
			return "", missing("%v", err)
		}
	}
	return python, nil
}
