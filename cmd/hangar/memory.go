package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// perApply is what one apply takes: 75 MB terraform and 30 MB provider,
// measured, and a little more.
const perApply = 120 << 20 // bytes

// appliesByMemory is how many applies may run at once in one lane, of which
// there are two, so that all of them take half of the memory that is free now.
func appliesByMemory() int {
	free := meminfo("/proc/meminfo", "MemAvailable:") * 1024
	if limit := number("/sys/fs/cgroup/memory.max"); limit > 0 {
		free = min(free, limit-number("/sys/fs/cgroup/memory.current"))
	}
	return int(min(64, max(2, free/2/2/perApply)))
}

// meminfo returns a figure of a file in the form of /proc/meminfo, 0 when it
// cannot be had.
func meminfo(path, key string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == key {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n
		}
	}
	return 0
}

// number returns the number that a file holds, 0 when it holds none.
func number(path string) int64 {
	text, _ := os.ReadFile(path)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}
