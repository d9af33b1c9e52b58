import { BlockList, isIP } from 'node:net'

const privateBlocks = new BlockList()
// RFC 1918, and RFC 4193 for IPv6. Link-local addresses are left out: metadata of hosts is there.
privateBlocks.addSubnet('10.0.0.0', 8, 'ipv4')
privateBlocks.addSubnet('172.16.0.0', 12, 'ipv4')
privateBlocks.addSubnet('192.168.0.0', 16, 'ipv4')
privateBlocks.addSubnet('fc00::', 7, 'ipv6')

/** Whether an IP address belongs to a private network, which the internet does not route. */
export function isPrivateAddress(address: string): boolean {
  const version = isIP(address)
  if (version === 0) return false
  return privateBlocks.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

/** What the internet does not route, or routes to nobody in particular. */
const specialIpv4 = new BlockList()
for (const [network, prefix] of [
  // IANA IPv4 Special-Purpose Address Registry, multicast (RFC 5771) and the reserved class E.
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  specialIpv4.addSubnet(network, prefix, 'ipv4')
}

/** Global unicast is all that the internet routes of IPv6 (RFC 4291, section 2.4). */
const globalIpv6 = new BlockList()
globalIpv6.addSubnet('2000::', 3, 'ipv6')

/** What of it is special (IANA IPv6 Special-Purpose Address Registry): Teredo, 6to4, examples. */
const specialIpv6 = new BlockList()
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  specialIpv6.addSubnet(network, prefix, 'ipv6')
}

/**
 * Whether an IP address is one of the public internet: no address of this machine, of a private
 * network, of a link, of a group, and none in which such an address hides (IPv4-mapped, NAT64).
 *
 * @param address as `dns.lookup` gives it; any other text is no public address
 */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address)
  if (version === 4) return !specialIpv4.check(address, 'ipv4')
  // A zone, as in fe80::1%eth0, names a link of this machine.
  if (version !== 6 || address.includes('%')) return false
  const hidden = hiddenIpv4(address)
  if (hidden !== undefined) return !specialIpv4.check(hidden, 'ipv4')
  return globalIpv6.check(address, 'ipv6') && !specialIpv6.check(address, 'ipv6')
}

/**
 * The IPv4 address inside an IPv4-mapped address (RFC 4291, section 2.5.5.2), or inside one that
 * NAT64 translates (RFC 6052, section 2.1).
 */
function hiddenIpv4(address: string): string | undefined {
  // The URL parser writes every form of an address in one way: lower case, the longest run as ::.
  const { hostname } = new URL(`http://[${address}]`)
  const [, high = '', low = ''] =
    /^\[(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(hostname) ?? []
  if (high === '' || low === '') return undefined
  return [high, low]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join('.')
}
