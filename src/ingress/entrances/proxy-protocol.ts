import { isIP } from 'node:net'
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'

/**
 * The header of the PROXY protocol, versions 1 and 2, by which a proxy says which client a TCP
 * connection is from (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt):
 *
 *   1   `PROXY TCP4 192.0.2.1 198.51.100.1 56324 1883\r\n`, at most 107 bytes
 *   2   12 bytes of signature, version and command, family, 2 bytes of length, then addresses and
 *       extensions
 *
 * It is read only on connections of trusted proxies. Neither MQTT, TLS nor HTTP begins as a header
 * does, so that a trusted proxy may also send none.
 */
interface ProxyHeader {
  /** Undefined: the proxy speaks for itself, as in a health check, or sent no header. */
  readonly source: ProxiedSource | undefined
}

export interface ProxiedSource {
  readonly address: string
  readonly port: number
}

type Parsed =
  | (ProxyHeader & { readonly length: number })
  | { readonly fault: string }
  /** More bytes are needed to tell. */
  | undefined

const textStart = Buffer.from('PROXY ')
const textBytesMax = 107
const binaryStart = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const binaryHeadBytes = 16
/** Of addresses and extensions, such as what a proxy tells of its client's TLS. */
const binaryRestBytesMax = 2_048

/** Reads the header at the beginning of a connection; without one the length is 0. */
export function parseProxyHeader(bytes: Buffer): Parsed {
  if (isStartOf(bytes, textStart)) return parseText(bytes)
  if (isStartOf(bytes, binaryStart)) return parseBinary(bytes)
  return { source: undefined, length: 0 }
}

function isStartOf(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.subarray(0, length).equals(start.subarray(0, length))
}

function parseText(bytes: Buffer): Parsed {
  const end = bytes.subarray(0, textBytesMax).indexOf('\r\n')
  if (end < 0) {
    return bytes.length < textBytesMax ? undefined : { fault: 'the PROXY line does not end' }
  }
  const length = end + 2
  const [, family, address = '', , port, ...more] = bytes.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { source: undefined, length }
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : undefined
  const isPort = /^\d{1,5}$/.test(port ?? '') && Number(port) <= 65_535
  if (version === undefined || isIP(address) !== version || !isPort || more.length !== 1) {
    return { fault: 'the PROXY line cannot be read' }
  }
  return { source: { address, port: Number(port) }, length }
}

function parseBinary(bytes: Buffer): Parsed {
  if (bytes.length < binaryHeadBytes) return undefined
  const versionAndCommand = bytes.readUInt8(12)
  const rest = bytes.readUInt16BE(14)
  if (rest > binaryRestBytesMax) return { fault: 'the PROXY header is too long' }
  const length = binaryHeadBytes + rest
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21) {
    return { fault: 'the PROXY header is of another version, or of an unknown command' }
  }
  if (bytes.length < length) return undefined
  // The command LOCAL: the connection is the proxy's own, whatever addresses follow.
  if (versionAndCommand === 0x20) return { source: undefined, length }
  const addresses = bytes.subarray(binaryHeadBytes, length)
  const family = bytes.readUInt8(13)
  if (family === 0x11 && rest >= 12) {
    const address = [...addresses.subarray(0, 4)].join('.')
    return { source: { address, port: addresses.readUInt16BE(8) }, length }
  }
  if (family === 0x21 && rest >= 36) {
    return { source: { address: addressOf6(addresses), port: addresses.readUInt16BE(32) }, length }
  }
  if (family === 0x11 || family === 0x21) return { fault: 'the PROXY header has no addresses' }
  return { source: undefined, length }
}

function addressOf6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index))
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (isMapped) return [...bytes.subarray(12, 16)].join('.')
  return groups.map((group) => group.toString(16)).join(':')
}

/**
 * Reads the header of a new connection, and leaves what follows it to be read from the socket.
 *
 * @param done called once, unless the connection closes before; `fault`: the header is not valid,
 *   or did not arrive in time
 */
export function readProxyHeader(
  socket: Socket,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
  done: (header: ProxyHeader | { readonly fault: string }) => void,
): void {
  let bytes = Buffer.alloc(0)
  const cancel = clock.after(timeoutMs, () => {
    finish({ fault: `the first bytes did not arrive in ${timeoutMs} ms` })
  })
  const read = () => {
    for (let chunk = nextChunk(socket); chunk; chunk = nextChunk(socket)) {
      bytes = Buffer.concat([bytes, chunk])
    }
    const parsed = bytes.length > 0 ? parseProxyHeader(bytes) : undefined
    if (parsed === undefined) return
    if ('length' in parsed && bytes.length > parsed.length) {
      socket.unshift(bytes.subarray(parsed.length))
    }
    finish(parsed)
  }
  const closed = () => stop()
  const end = () => socket.destroy()

  function stop(): void {
    cancel()
    socket.off('readable', read).off('close', closed).off('end', end)
  }
  function finish(header: ProxyHeader | { readonly fault: string }): void {
    stop()
    // The socket forgets only then that it was read by hand.
    process.nextTick(() => {
      if (!socket.destroyed) done(header)
      socket.off('error', ignore)
    })
  }
  socket.on('readable', read).once('close', closed).once('end', end).on('error', ignore)
}

/** What an error says, `close` says as well. */
const ignore = () => undefined

/** The socket has no encoding, so that it gives bytes. */
const nextChunk = (socket: Socket) => socket.read() as Buffer | null
