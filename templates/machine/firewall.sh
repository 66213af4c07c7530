#!/bin/sh
# Written by hangar. Keeps this machine from the metadata service: it shows the
# user data, and with it the RPC secret and the private host key, to whoever
# asks, and builds are to learn neither.
#
# The rules are in the raw table. There they come before all that Docker, ufw
# or a build's own network does, and neither a restart of Docker nor iptables -F
# takes them away. PREROUTING meets containers with a network of their own,
# OUTPUT those on the host's. From there root cannot be told from a build that
# is root, so that the whole machine is shut out; cloud-init is not harmed,
# since this runs at every boot when it has read what it needs, and right before
# Docker starts (hangar-firewall.service). The rules are gone at the next boot.
#
# Only TCP is refused, for metadata is HTTP, and not its port 53: some clouds
# have their name and time servers at the same address.
set -eu

deny() { # deny ADDRESS
  case $1 in
    *:*) [ -e /proc/net/if_inet6 ] || return 0 # no IPv6 on this machine
         iptables=ip6tables ;;
    *)   iptables=iptables ;;
  esac
  for chain in PREROUTING OUTPUT; do
    "$iptables" -w -t raw -C "$chain" -d "$1" -p tcp ! --dport 53 -j DROP 2>/dev/null ||
      "$iptables" -w -t raw -A "$chain" -d "$1" -p tcp ! --dport 53 -j DROP
  done
}

resolve() { # resolve NAME: its addresses, or nothing
  getent ahosts "$1" | cut -d ' ' -f 1 | sort -u
}

# The well-known addresses: all of IPv4's link-local network, and those that
# Amazon, Google and OpenStack have in IPv6.
for address in 169.254.0.0/16 fd00:ec2::254 fd20:ce::254 fe80::a9fe:a9fe; do
  deny "$address"
done

# Equinix Metal's has a name and no documented address. Where cloud-init got the
# user data from such a name, the name exists, and nothing goes on before it can
# be resolved: without names there is nothing to build either. Elsewhere the
# name may not exist at all.
own=$(cloud-init query subplatform 2>/dev/null | sed -n 's|.*://\([^/)]*\).*|\1|p') || own=
case $own in
  \[*) own=${own#\[} own=${own%%\]*} ;;
  *)   own=${own%%:*} ;;
esac
tries=5
for name in $own metadata.platformequinix.com; do
  while addresses=$(resolve "$name") && [ -z "$addresses" ]; do
    if [ "$name" != "$own" ]; then
      tries=$((tries - 1))
      [ "$tries" -gt 0 ] || break
    fi
    echo "hangar: $name has no address yet"
    sleep 1
  done
  for address in $addresses; do
    deny "$address"
  done
done
