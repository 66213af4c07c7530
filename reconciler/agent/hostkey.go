package agent

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// hostKeyInfo parts the host keys from whatever else may be derived from the
// seed one day, and from another way to derive them.
const hostKeyInfo = "hangar ssh host key v1 "

// HostKey is the host key of a server: its private half as an OpenSSH PEM, for
// cloud-init to put on the machine, and its public half as a line without
// line break. It follows from the seed and the server's name alone, so that it
// is known before the machine exists, and to one who restored a backup from
// before that. It is the same text each time.
func (k *Keys) HostKey(server string) (privatePEM []byte, public string, err error) {
	key, err := k.hostKey(server)
	if err != nil {
		return nil, "", err
	}
	block, err := ssh.MarshalPrivateKey(key, server)
	if err == nil {
		err = zeroCheck(block)
	}
	if err != nil {
		return nil, "", fmt.Errorf("host key of %s: %w", server, err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, "", fmt.Errorf("host key of %s: %w", server, err)
	}
	return pem.EncodeToMemory(block), publicLine(signer.PublicKey()) + " " + server, nil
}

func (k *Keys) hostKey(server string) (ed25519.PrivateKey, error) {
	if server == "" {
		return nil, errors.New("host key of a server without a name")
	}
	seed, err := hkdf.Key(sha256.New, k.seed, nil, hostKeyInfo+server, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("host key of %s: %w", server, err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// publicHostKey is the one host key that is accepted of a server.
func (k *Keys) publicHostKey(server string) (ssh.PublicKey, error) {
	key, err := k.hostKey(server)
	if err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(key.Public())
}

// zeroCheck replaces the random numbers of an OpenSSH private key, by which a
// wrong passphrase is noticed and which mean nothing without one
// (https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL.key).
func zeroCheck(block *pem.Block) error {
	const magic = "openssh-key-v1\x00"
	var file struct {
		Cipher, KDF, Options string
		Count                uint32
		Public, Private      []byte
	}
	body, found := strings.CutPrefix(string(block.Bytes), magic)
	if !found {
		return errors.New("not an OpenSSH private key")
	}
	if err := ssh.Unmarshal([]byte(body), &file); err != nil {
		return err
	}
	clear(file.Private[:8])
	block.Bytes = append([]byte(magic), ssh.Marshal(file)...)
	return nil
}

func publicLine(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
