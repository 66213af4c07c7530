package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"

	"hangar/state"
	"hangar/state/sqlite"
)

// networked are file systems, by the magic numbers of statfs(2), whose locks are
// not to be trusted with a database that is open in several places.
var networked = map[uint32]string{0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x01021997: "9P"}

// data looks whether the data folder can be written, keeps locks, and holds
// records that can be read.
func (d *doctor) data() {
	folder := d.cfg.Data
	missing := false
	for !exists(folder) && folder != filepath.Dir(folder) {
		folder, missing = filepath.Dir(folder), true
	}
	file, err := os.CreateTemp(folder, ".hangar-check-")
	if err != nil {
		d.fail("data folder", err.Error(), "set DRONE_DATA to a folder that hangar may write to")
		return
	}
	defer os.Remove(file.Name())
	defer file.Close()
	held, again := flock.New(file.Name()), flock.New(file.Name())
	defer held.Close()
	defer again.Close()
	first, err := held.TryLock()
	second, err2 := again.TryLock()
	var fs syscall.Statfs_t
	err = errors.Join(err, err2, syscall.Statfs(folder, &fs))
	kind := networked[uint32(fs.Type)]
	const fix = "put DRONE_DATA on a local disk: two hangars could work on the same records"
	switch {
	case err != nil:
		d.fail("data folder", fmt.Sprintf("%s: its file system keeps no locks: %v", d.cfg.Data, err), fix)
	case !first || second:
		d.fail("data folder", d.cfg.Data+": its file system keeps no locks", fix)
	case kind != "":
		d.warn("data folder", fmt.Sprintf("%s lies on %s, whose locks sqlite cannot rely on", d.cfg.Data, kind), fix)
	case missing:
		d.ok("data folder", "%s is made at the first start", d.cfg.Data)
	default:
		d.ok("data folder", "%s can be written, and keeps locks", d.cfg.Data)
	}
	d.records()
}

func (d *doctor) records() {
	path := d.cfg.databasePath()
	servers, theirs, err := sqlite.Autoscaler(d.ctx, path)
	if theirs {
		d.warn("records", fmt.Sprintf("%s is a database of drone/autoscaler with %s", path, plural(len(servers), "server")), "hangar serve keeps it aside, untouched, and never touches its machines: remove them yourself when their builds are done")
		return
	}
	var store *sqlite.Store
	if err == nil {
		store, err = sqlite.OpenReadOnly(d.ctx, path)
	}
	switch {
	case state.CodeOf(err) == state.NotFound:
		d.ok("records", "there are none yet; %s is made at the first start", path)
	case err != nil:
		d.fail("records", err.Error(), "")
	default:
		defer store.Close()
		all, err := store.Servers(d.ctx)
		if err != nil {
			d.fail("records", err.Error(), "")
			return
		}
		d.ok("records", "%s holds %s, gone ones included", path, plural(len(all), "server"))
	}
}

// port looks whether hangar serves, or could.
func (d *doctor) port() {
	url, err := runningServer(d.cfg.Data)
	if err != nil {
		d.warn("port", err.Error(), "")
		return
	}
	if url == "" {
		d.free(d.cfg.listen())
		return
	}
	answer, err := askServer(d.ctx, d.cfg, http.MethodGet, url+"/healthz")
	if err != nil {
		d.fail("port", fmt.Sprintf("hangar serve runs at %s, and is not well: %v", url, err), "look at its log")
		return
	}
	answer.Close()
	d.ok("port", "hangar serve answers at %s", url)
}

// free looks whether an address is there to listen on.
func (d *doctor) free(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		d.fail("port", fmt.Sprintf("no hangar serve runs on this data folder, and its port cannot be had: %v", err), "end what listens there, or set DRONE_HTTP_PORT to another port")
		return
	}
	listener.Close()
	d.ok("port", "%s is free", address)
}
