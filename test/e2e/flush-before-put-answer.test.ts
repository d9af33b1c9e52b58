import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { commitsOf } from '../helpers/lmdb-commits.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import { canTrace, traceNode } from '../helpers/system-calls.ts'

const calls = 20
const timeoutMs = 120_000
const StreamName = 's'

/** `kill -9` does not prove a flush: the kernel keeps what a killed process has written. */
test.skipIf(!canTrace).each(['PutRecord', 'PutRecords'])(
  '%s is answered after the commit of its records is flushed to disk (needs strace)',
  async (operation) => {
    const folder = await temporaryFolder()
    const traced = traceNode(folder.path)
    const sluice = startSluice(
      ['kinesis', '--stream', `${StreamName}:1`, '--no-limits'],
      { SLUICE_LAB_DATA: path.join(folder.path, 'streams') },
      { cwd: folder.path, node: traced.node },
    )
    onTestFinished(async () => {
      sluice.kill('SIGKILL')
      await sluice.ended
      await folder.remove()
    })
    const { kinesis: port } = await sluice.ready()
    const puts: { data: string; sequenceNumber: string }[] = []
    for (let n = 0; n < calls; n++) {
      const data = Buffer.from(`record ${n} of ${operation}`).toString('base64')
      puts.push({ data, sequenceNumber: await put(Number(port), operation, data) })
    }
    sluice.kill('SIGTERM')
    expect(await sluice.ended).toBe(0)

    const trace = await traced.calls()
    const commits = commitsOf(trace, '/streams/lab/data.mdb')
    for (const { data, sequenceNumber } of puts) {
      const read = trace.find(
        ({ name, arguments: text }) => name.startsWith('read') && text.includes(data),
      )
      const answered = trace.find(
        ({ name, arguments: text }) =>
          /^(?:write|send)/.test(name) && text.includes(sequenceNumber),
      )
      const isFlushed = commits.isBetween(read, answered)
      expect({ data, isRead: !!read, isAnswered: !!answered, isFlushed }).toEqual({
        data,
        isRead: true,
        isAnswered: true,
        isFlushed: true,
      })
    }
  },
  timeoutMs,
)

/** @returns the sequence number of the record */
async function put(port: number, operation: string, Data: string): Promise<string> {
  const record = { Data, PartitionKey: 'k' }
  const input = operation === 'PutRecord' ? record : { Records: [record] }
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `Kinesis_20131202.${operation}`,
    },
    // The data first, because the trace has the first bytes only.
    body: JSON.stringify({ ...input, StreamName }),
  })
  const text = await response.text()
  const [, sequenceNumber] = /"SequenceNumber":"(\d+)"/.exec(text) ?? []
  if (sequenceNumber === undefined) throw new Error(`${response.status} ${text}`)
  return sequenceNumber
}
