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

/**
 * The blocks that the IANA registries of special-purpose addresses do not call globally reachable,
 * with multicast and with the blocks that hold an IPv4 address in an IPv6 address. A list of IPv4
 * blocks also matches IPv4-mapped IPv6 addresses.
 */
const notPublicBlocks = new BlockList()
for (const [net, prefix] of [
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
  ['224.0.0.0', 3],
] as const) {
  notPublicBlocks.addSubnet(net, prefix, 'ipv4')
}
for (const [net, prefix] of [
  ['::', 96],
  ['64:ff9b::', 32],
  ['100::', 32],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['fc00::', 6],
] as const) {
  notPublicBlocks.addSubnet(net, prefix, 'ipv6')
}

/** Whether an IP address is one of the internet, and not of a machine or network nearby. */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address)
  if (version === 0) return false
  return !notPublicBlocks.check(address, version === 4 ? 'ipv4' : 'ipv6')
}
