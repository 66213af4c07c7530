package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"hangar/state"
	"hangar/tfmodules"
)

// plain makes n machines by plain terraform with one root module, and tells how
// long the apply took, and the most memory that it needed, in bytes.
func (b *bench) plain(n int) (took time.Duration, memory int64, err error) {
	s, err := b.world()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	dir, err := s.root(n)
	if err != nil {
		return 0, 0, err
	}
	if _, err := b.terraform(s, dir, "init"); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	memory, err = b.terraform(s, dir, "apply", "-auto-approve", fmt.Sprintf("-parallelism=%d", n))
	return time.Since(began), memory, err
}

// root writes a root module of n machines that set up the same agents, as a
// person would, and returns its folder.
func (s *benched) root(n int) (dir string, err error) {
	module, err := tfmodules.Shipped("packet")
	if err != nil {
		return "", err
	}
	if _, err := module.Copy(filepath.Join(s.dir, "modules")); err != nil {
		return "", err
	}
	cfg, err := parseConfig(s.environ)
	if err != nil {
		return "", err
	}
	agents, err := cfg.agents()
	if err != nil {
		return "", err
	}
	source, err := cfg.pools(s.environ, agents, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	candidate := source.At(time.Now()).Pools[0].Candidates[0]
	root := tfmodules.Root{Module: module, Settings: candidate.Settings, Provider: map[string]any{"endpoint": cfg.PacketEndpoint}}
	files := map[string][]byte{"cli.tfrc": fmt.Appendf(nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", s.mirror)}
	for i := range n {
		name := fmt.Sprintf("plain-%08d", i)
		root.Servers = append(root.Servers, tfmodules.Server{Name: name, Tags: []string{"plain"}})
		if files[tfmodules.CloudInit(name)], err = agents.userData(state.Server{Name: name, Pool: "default", Capacity: 1}); err != nil {
			return "", err
		}
	}
	if files["main.tf"], err = tfmodules.Render(root); err != nil {
		return "", err
	}
	dir = filepath.Join(s.dir, "stacks", "plain")
	if err := os.MkdirAll(filepath.Join(dir, "cloud-init"), 0o700); err != nil {
		return "", err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// terraform runs a terraform command in a folder, and tells the most memory that
// its processes needed.
func (b *bench) terraform(s *benched, dir string, args ...string) (memory int64, err error) {
	cmd := exec.CommandContext(b.ctx, "terraform", slices.Concat(args, []string{"-no-color", "-input=false"})...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "METAL_AUTH_TOKEN="+s.environ["DRONE_PACKET_APIKEY"], "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "cli.tfrc"))
	said, err := os.Create(filepath.Join(dir, args[0]+".log"))
	if err != nil {
		return 0, err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	watch := b.watch(cmd.Process.Pid)
	err = cmd.Wait()
	memory, _ = watch() // the last look finds that it has ended
	if err != nil {
		text, _ := os.ReadFile(said.Name())
		return 0, fmt.Errorf("terraform %s: %w\n%s", args[0], err, text)
	}
	return memory, nil
}
