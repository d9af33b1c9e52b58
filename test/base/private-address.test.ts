import { expect, test } from 'vitest'
import { isPrivateAddress, isPublicAddress } from '../../src/base/private-address.ts'

test.each([
  ['8.8.8.8', 'public'],
  ['52.95.110.1', 'public'],
  ['172.15.255.255', 'public'],
  ['172.32.0.0', 'public'],
  ['100.63.255.255', 'public'],
  ['2606:4700::1111', 'public'],
  ['2a05:d018::1', 'public'],
  ['::ffff:8.8.8.8', 'public'],
  ['10.0.0.1', 'private'],
  ['172.31.0.1', 'private'],
  ['192.168.1.1', 'private'],
  ['fd00:ec2::254', 'private'],
  ['::ffff:10.0.0.1', 'private'],
  ['127.0.0.1', 'neither'],
  ['::1', 'neither'],
  ['::', 'neither'],
  ['0.0.0.0', 'neither'],
  ['169.254.169.254', 'neither'],
  ['::ffff:169.254.169.254', 'neither'],
  ['64:ff9b::a9fe:a9fe', 'neither'],
  ['2002:a9fe:a9fe::', 'neither'],
  ['fe80::1', 'neither'],
  ['100.100.100.200', 'neither'],
  ['224.0.0.1', 'neither'],
  ['255.255.255.255', 'neither'],
  ['ff02::1', 'neither'],
  ['example.com', 'neither'],
])('%s is %s', (address, expected) => {
  const kinds = [
    isPublicAddress(address) && 'public',
    isPrivateAddress(address) && 'private',
  ].filter(Boolean)
  expect(kinds).toEqual(expected === 'neither' ? [] : [expected])
})
