package agent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// seedSize is the length in bytes of the secret that host keys are made of.
const seedSize = 32

// Keys are an installation's SSH keys: the one that it logs in with, and the
// seed of every server's host key.
type Keys struct {
	dir       string // where hangar keeps them
	loginFile string // absolute path of the private login key
	login     ssh.Signer
	seed      []byte
}

// LoadKeys reads the keys in dir, and makes those that are not there yet. A
// loginKeyFile that is not empty is the login key instead of one made here.
func LoadKeys(dir, loginKeyFile string) (*Keys, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("load SSH keys: %w", err)
	}
	if err := privateFolder(dir); err != nil {
		return nil, fmt.Errorf("load SSH keys: %w", err)
	}
	k := &Keys{dir: dir}
	own := filepath.Join(dir, "id_ed25519")
	if k.seed, err = loadSeed(filepath.Join(dir, "host-seed"), own); err != nil {
		return nil, fmt.Errorf("load the seed of host keys: %w", err)
	}
	if loginKeyFile == "" {
		err = makeLogin(own)
		loginKeyFile = own
	}
	if err == nil {
		k.loginFile, err = filepath.Abs(loginKeyFile)
	}
	if err == nil {
		k.login, err = readLogin(k.loginFile)
	}
	if err != nil {
		return nil, fmt.Errorf("load the SSH login key: %w", err)
	}
	if loginKeyFile == own { // for people; hangar does not read it
		if err := replace(own+".pub", []byte(k.AuthorizedKey()+"\n")); err != nil {
			return nil, fmt.Errorf("load the SSH login key: %w", err)
		}
	}
	return k, nil
}

// AuthorizedKey is the public half of the login key, as a line of a machine's
// authorized_keys without line break.
func (k *Keys) AuthorizedKey() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.login.PublicKey()))) + " hangar"
}

// loadSeed makes the seed at the first start. The seed is made before the
// login key: where only the key is left, the seed was lost, and a new one
// would make every machine look like an attacker.
func loadSeed(path, loginFile string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, found := os.Lstat(loginFile); found == nil {
			return nil, fmt.Errorf("%s is missing although %s is there: restore it from a backup, or, if no machines are left, remove %[2]s too", path, loginFile)
		}
		made := make([]byte, seedSize)
		rand.Read(made)
		if err := createOnce(path, []byte(hex.EncodeToString(made)+"\n")); err != nil {
			return nil, err
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(path); err != nil {
		return nil, err
	}
	seed, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(seed) != seedSize {
		return nil, fmt.Errorf("%s is damaged: it must hold %d hexadecimal digits; restore it from a backup", path, 2*seedSize)
	}
	return seed, nil
}

func makeLogin(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "hangar")
	if err != nil {
		return err
	}
	return createOnce(path, pem.EncodeToMemory(block))
}

func readLogin(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(path); err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err == nil {
		return signer, nil
	}
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		return nil, fmt.Errorf("%s is encrypted with a passphrase, which nobody is there to type: use a key without one (ssh-keygen -p -N '' -f %[1]s)", path)
	}
	if _, _, _, _, public := ssh.ParseAuthorizedKey(text); public == nil {
		return nil, fmt.Errorf("%s holds a public key: the private one is needed", path)
	}
	// The parser's words may quote the file: they are not repeated.
	return nil, fmt.Errorf("%s holds no private SSH key (OpenSSH or PEM; Ed25519, ECDSA or RSA)", path)
}

// checkPrivate refuses a secret that other users can read, as ssh itself does.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o): chmod 600 %[1]s (in Kubernetes: defaultMode: 0400)", path, mode)
	}
	return nil
}
