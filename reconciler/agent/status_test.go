package agent

import (
	"slices"
	"testing"
)

func TestParseStatus(t *testing.T) {
	tests := []struct {
		name     string
		text     string
		exit     int
		want     string
		problems []string
	}{
		{name: "20.4 (Debian 11), done", text: "status: done\ntime: Mon, 01 Jan 2024 00:00:41 +0000\ndetail:\nDataSourceEquinix\n", want: "done"},
		{name: "22.4 (Debian 12), running", text: "status: running\ntime: Mon, 01 Jan 2024 00:00:41 +0000\ndetail:\nDataSourceEquinix\n", want: "running"},
		{
			name: "22.4 (Debian 12), error", exit: 1, want: "error", problems: []string{"('scripts-user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))"},
			text: "status: error\ntime: Mon, 01 Jan 2024 00:00:41 +0000\ndetail:\n('scripts-user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))\n",
		},
		{name: "22.4, not run", text: "status: not run\ntime:\ndetail:\n", want: "not started"},
		{
			name: "24.1 (Ubuntu 24.04), done", want: "done",
			text: "status: done\nextended_status: done\nboot_status_code: enabled-by-generator\nlast_update: Thu, 01 Jan 1970 00:02:04 +0000\ndetail: DataSourceEquinix [net,ver=None][source=x]\nerrors: []\nrecoverable_errors: {}\n",
		},
		{
			name: "24.1, degraded", exit: 2, want: "degraded", problems: []string{"WARNING:", "Failed at merging in cloud config part: empty"},
			text: "status: done\nextended_status: degraded done\nboot_status_code: enabled-by-generator\ndetail: DataSourceEquinix\nerrors: []\nrecoverable_errors:\nWARNING:\n\t- Failed at merging in cloud config part: empty\n",
		},
		{
			name: "24.1, degraded and running", exit: 2, want: "running", problems: []string{"WARNING:", "x"},
			text: "status: running\nextended_status: degraded running\nrecoverable_errors:\nWARNING:\n\t- x\n",
		},
		{
			name: "24.1, error", exit: 1, want: "error", problems: []string{"('package_update_upgrade_install', 'apt')", "('scripts_user', 'Runparts')", "WARNING:", "y"},
			text: "status: error\nextended_status: error - done\ndetail: DataSourceEquinix\nerrors:\n\t- ('package_update_upgrade_install', 'apt')\n\t- ('scripts_user', 'Runparts')\nrecoverable_errors:\nWARNING:\n\t- y\n",
		},
		{name: "24.1, not started", text: "status: not started\nextended_status: not started\n", want: "not started"},
		{name: "disabled", text: "status: disabled\nextended_status: disabled\n", want: "disabled"},
		{name: "after dots", text: "status: done\r\nextended_status: done\r\n", want: "done"},
		{name: "nothing", exit: 1},
		{name: "something else", text: "Permission denied: status unknown\n", exit: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := parseStatus(tt.text, tt.exit)
			if got.status != tt.want || !slices.Equal(got.problems, tt.problems) {
				t.Errorf("got %+v, want %q %q", got, tt.want, tt.problems)
			}
		})
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("status: done\nerrors:\n\t- x\n", 2)
	f.Fuzz(func(t *testing.T, text string, exit int) {
		for _, problem := range append(parseStatus(text, exit).problems, parseStatus(text, exit).status) {
			if problem != printable(problem) {
				t.Errorf("%q is not printable", problem)
			}
		}
	})
}
