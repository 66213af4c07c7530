package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// supervise runs a program as the first process of a container should: every
// signal is passed on to it, processes that others leave behind are reaped, and
// when it ends its exit code, or 128 and the number of the signal that ended it,
// is returned. Terraform leaves providers behind when it is killed; as process 1,
// hangar would be their parent and, since os/exec waits only for its own, never
// bury them. A wait for any process in hangar itself would steal the ends that
// os/exec waits for: therefore the parent is a process of its own.
func supervise(path string, args []string) int {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // before the child is there: none is missed
	child, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
		// Ctrl-C on a terminal would else come twice, from the terminal and from here,
		// and a second signal ends hangar at once, with its applies.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "hangar: start %s: %v\n", path, err)
		return 1
	}
	go func() {
		for s := range signals {
			// SIGURG is the Go runtime's own, and SIGCHLD what wait is for.
			if s != syscall.SIGCHLD && s != syscall.SIGURG {
				_ = syscall.Kill(child, s.(syscall.Signal)) // it may just have ended
			}
		}
	}()
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fmt.Fprintf(os.Stderr, "hangar: wait for %s: %v\n", path, err)
			return 1
		case ended == child && status.Exited():
			return status.ExitStatus()
		case ended == child && status.Signaled():
			return 128 + int(status.Signal())
		}
	}
}
