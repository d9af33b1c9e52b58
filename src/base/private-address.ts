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
