package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// processes is what a process and those that it started take, at an instant.
// See proc(5).
type processes struct {
	Memory  int64         // bytes, what is shared counted by share (Pss); 0: not asked for
	CPU     time.Duration // used so far, with that of children that have ended
	Written int64         // bytes handed to storage so far by those that run
	Names   []string      // of the children
}

// tick is the unit in which the kernel tells times to programs: always 100 a
// second on the platforms that hangar is built for.
const tick = 10 * time.Millisecond

// look reads what a process and all below it take; memory is asked for apart,
// since the kernel then looks at every page.
func look(pid int, memory bool) (processes, error) {
	below, err := offspring()
	if err != nil {
		return processes{}, err
	}
	var sum processes
	for open := []int{pid}; len(open) > 0; open = open[1:] {
		one := open[0]
		open = append(open, below[one]...)
		stat, err := readStat(one)
		if err != nil {
			if one == pid {
				return sum, fmt.Errorf("look at process %d: %w", pid, err)
			}
			continue // it has ended meanwhile
		}
		if one != pid {
			sum.Names = append(sum.Names, stat.name)
		}
		sum.CPU += stat.used
		sum.Written += meminfo(fmt.Sprintf("/proc/%d/io", one), "write_bytes:")
		if memory {
			sum.Memory += meminfo(fmt.Sprintf("/proc/%d/smaps_rollup", one), "Pss:") * 1024
		}
	}
	return sum, nil
}

// offspring lists the processes that each process has started and that run.
func offspring() (map[int][]int, error) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	below := make(map[int][]int)
	for _, path := range all {
		pid, _ := strconv.Atoi(filepath.Base(path))
		if stat, err := readStat(pid); err == nil {
			below[stat.parent] = append(below[stat.parent], pid)
		}
	}
	return below, nil
}

// stat is what /proc/PID/stat tells.
type stat struct {
	name   string
	parent int
	used   time.Duration // processor time, with that of children that were waited for
}

func readStat(pid int) (s stat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	// The name, in brackets, may hold anything.
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	if open < 0 || len(fields) < 15 {
		return s, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	s.name = string(text[open+1 : end])
	if s.parent, err = strconv.Atoi(fields[1]); err != nil {
		return s, err
	}
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return s, err
		}
		s.used += time.Duration(n) * tick
	}
	return s, nil
}
