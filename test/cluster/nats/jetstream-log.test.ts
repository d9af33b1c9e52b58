/** The promises of the log, in a stream of three NATS servers. */
import { afterAll, beforeAll, describe } from 'vitest'
import { describeFullLog, describeLog } from '../log-contract.ts'
import type { OpenEmptyLog } from '../log-contract.ts'
import { findNatsServer } from './find-nats-server.ts'
import { configOf, openNode } from './nats-fixture.ts'
import { startNatsServers } from './nats-servers.ts'
import type { NatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`

describe.skipIf(!program.isFound)(`the log in JetStream${why}`, () => {
  if (!program.isFound) return
  let servers: NatsServers
  beforeAll(async () => {
    servers = await startNatsServers(program.file)
  })
  afterAll(() => servers.stop())

  let clusters = 0
  const openEmpty: OpenEmptyLog = async (bytesMax) => {
    const name = `contract-${++clusters}`
    const config = configOf({ SLUICE_NATS_URL: servers.url, SLUICE_CLUSTER_NAME: name })
    return {
      node: async () => (await openNode(config, bytesMax)).log,
      settled: (work) => work,
    }
  }
  describeLog(openEmpty)
  describeFullLog(openEmpty)
})
