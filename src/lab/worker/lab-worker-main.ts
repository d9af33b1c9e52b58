import { parentPort, workerData } from 'node:worker_threads'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { unreachable } from '../../base/unreachable.ts'
import { logConsole } from '../../telemetry/log-console.ts'
import { createMemoryLogger } from '../../telemetry/logger.ts'
import { createLabServer } from '../server/lab-server.ts'
import type { LabServer } from '../server/lab-server.ts'
import type {
  LabAnswer,
  LabCommand,
  LabFailure,
  LabReport,
  LabWorkerData,
} from './lab-worker-messages.ts'

/** The entry of the lab's thread: runs one server, and executes the commands of lab-worker.ts. */
async function main(): Promise<void> {
  const port = parentPort
  if (!port) throw new Error('lab-worker-main runs as a worker thread only')
  const report = (message: LabReport) => port.postMessage(message)
  const logger = createMemoryLogger((line) => report({ kind: 'log', line }))
  logConsole(logger)
  try {
    // The list of calls is for tests in the same process, so the thread records none.
    const options = { ...(workerData as LabWorkerData), logger, callsMax: 0 }
    const lab = await createLabServer(options)
    const obey = async (command: LabCommand) => {
      report({ kind: 'done', id: command.id, ...(await carryOutCommand(lab, command)) })
      if (command.kind === 'close') port.close()
    }
    port.on('message', (command: LabCommand) => {
      void obey(command)
    })
    report({ kind: 'ready', port: lab.port })
  } catch (thrown) {
    report({ kind: 'failed', failure: failureOf(thrown) })
    port.close()
  }
}

async function carryOutCommand(lab: LabServer, command: LabCommand): Promise<Partial<LabAnswer>> {
  try {
    switch (command.kind) {
      case 'close':
        await lab.close()
        return {}
      case 'ensureStream':
        lab.ensureStream(command.stream)
        return {}
      case 'setShardCount':
        lab.setShardCount(command.stream, command.shardCount)
        return {}
      case 'inspect': {
        // The parent calls a method of this object with parameters of its own types.
        const { inspection } = lab
        const ask = inspection[command.question] as (...given: readonly unknown[]) => unknown
        return { answer: ask(...command.given) }
      }
      default:
        return unreachable(command)
    }
  } catch (thrown) {
    return { failure: failureOf(thrown) }
  }
}

function failureOf(thrown: unknown): LabFailure {
  const message = messageOf(thrown)
  return thrown instanceof SluiceError ? { code: thrown.code, message } : { message }
}

await main()
