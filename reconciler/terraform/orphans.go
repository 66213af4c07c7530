package terraform

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// EndOrphans ends the provider processes that a killed hangar left behind:
// terraform dies with hangar, and its providers live on without it. They hold
// memory, and could repeat a request whose answer nobody waits for. They are
// known by their environment, which names this data folder; what has a living
// terraform as its parent is none. Only the holder of the data folder may call
// it, before it starts terraform. It returns how many it has ended; where there
// is no /proc it ends none.
func (r *Runner) EndOrphans() (ended int, err error) {
	ours := []byte("TF_CLI_CONFIG_FILE=" + r.configFile())
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, dir := range processes {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || !isProvider(dir) || !startedWith(dir, ours) || startedWith(fmt.Sprintf("/proc/%d", parentOf(dir)), ours) {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("end the orphaned provider %d: %w", pid, err))
			continue
		}
		ended++
	}
	return ended, errors.Join(errs...)
}

// isProvider says whether a process runs a provider's program.
func isProvider(dir string) bool {
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	program, _, _ := bytes.Cut(line, []byte{0})
	return err == nil && strings.HasPrefix(filepath.Base(string(program)), "terraform-provider-")
}

// startedWith says whether a process was started with a variable. One that has
// ended, or is another user's, was not.
func startedWith(dir string, variable []byte) bool {
	environ, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return false
	}
	for line := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(line, variable) {
			return true
		}
	}
	return false
}

// parentOf is the id of a process's parent, 0 when it has ended
// (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
func parentOf(dir string) int {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}
