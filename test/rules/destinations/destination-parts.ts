import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { createHttpHosts } from '../../../src/aws/http/http-hosts.ts'
import type { HttpAnswer, HttpPostRequest } from '../../../src/aws/http/http-poster.ts'
import { openTopicRuleDestinations } from '../../../src/rules/destinations/topic-rule-destinations.ts'
import {
  createSharedDestinations,
  destinationKind,
} from '../../../src/rules/destinations/shared-destinations.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import type { TestNode } from '../../cluster/state/state-fixtures.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import type { ManualClock } from '../../helpers/manual-clock.ts'

export const url = 'https://example.com/hook'
export const arnOf = (resource: string) =>
  `arn:aws:iot:eu-central-1:123456789012:ruledestination/${resource}`
export const answer = (status: number): HttpAnswer => ({
  status,
  reason: '',
  header: () => undefined,
  body: Buffer.alloc(0),
})
export const taken = (): Promise<HttpAnswer> => Promise.resolve(answer(200))
export const accepted = (): Promise<string | undefined> => Promise.resolve(undefined)
export const refused = () => Promise.resolve('the token is refused')
export const dayMs = 86_400_000

export interface Confirmation {
  readonly arn: string
  readonly confirmationToken: string
  readonly enableUrl: string
  readonly messageType: string
}

/** An answer that comes when the test says so. */
export function createGate() {
  const resolves: ((value: undefined) => void)[] = []
  const opened = new Promise<undefined>((resolve) => resolves.push(resolve))
  return { opened, open: () => resolves[0]?.(undefined) }
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-destinations-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

interface OpenOptions {
  readonly folder?: string
  readonly isLab?: boolean
  /** In place of the folder. */
  readonly node?: Pick<TestNode, 'state'>
  readonly clock?: ManualClock
}

export async function open({ folder, isLab = false, node, clock: given }: OpenOptions = {}) {
  const own = folder ?? (await temporaryFolder())
  const clock = given ?? createManualClock()
  const asked: HttpPostRequest[] = []
  const lines: string[] = []
  let answering = taken
  let probing = accepted
  const view = node?.state.view(destinationKind)
  const logger = createMemoryLogger((line) => lines.push(String(line['msg'])))
  const records = view && createSharedDestinations({ view, logger })
  const options = { folder: path.join(own, 'destinations'), needsConfirmation: !isLab, records }
  const destinations = await openTopicRuleDestinations(
    {
      poster: {
        post(request) {
          asked.push(request)
          return answering()
        },
      },
      ...createHttpHosts({ hosts: [], isLab }),
      probeInfluxdb: isLab ? undefined : () => probing(),
      arnOf,
      confirmBaseOf: (known = 'http://localhost:8080') => known,
      clock,
      logger,
    },
    options,
  )
  onTestFinished(() => destinations.close())
  /** Resolves when the requests under way have been answered and noted. */
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    await destinations.update('none', 'ENABLED').catch(() => undefined)
  }
  return {
    ...destinations,
    folder: own,
    filesFolder: options.folder,
    clock,
    asked,
    lines,
    settle,
    confirmation: (index = 0) => JSON.parse(asked[index]?.body.toString() ?? '{}') as Confirmation,
    answerWith: (next: () => Promise<HttpAnswer>) => (answering = next),
    probeWith: (next: () => Promise<string | undefined>) => (probing = next),
  }
}
