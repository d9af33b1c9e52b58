import { createRequire } from 'node:module'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** kinesalite as a process of its own, for the comparison in lab.ts. */
interface Kinesalite {
  (options: { readonly createStreamMs: number; readonly shardLimit: number }): Server
}

const kinesalite = createRequire(import.meta.url)('kinesalite') as Kinesalite
const server = kinesalite({ createStreamMs: 0, shardLimit: 100 })
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ msg: 'ready', kinesis: port })}\n`)
})
