import { systemClock } from '../../base/clock.ts'
import type { ClusterStatus, LogStatus } from '../../cluster/operators/cluster-status.ts'
import { paint } from '../terminal/host.ts'
import type { Host } from '../terminal/host.ts'
import { onOneLine } from '../terminal/record-line.ts'
import { findEngineApi } from './engine-api.ts'
import type { EngineOptions } from './engine-api.ts'
import { grouped, tableText } from './table-text.ts'

export interface ClusterStatusOptions extends EngineOptions {
  readonly json: boolean
}

/**
 * Prints how a cluster is, as one of its nodes sees it, with exit code 1 when something is wrong.
 *
 * @throws SluiceError (rejects): see `EngineApi`; ResourceNotFoundException: the engine is no part
 *   of a cluster
 */
export async function showCluster(host: Host, options: ClusterStatusOptions): Promise<void> {
  const engine = await findEngineApi(host, options)
  const status = (await engine.call({ path: '/v1/cluster' })) as ClusterStatus
  host.stdout.write(options.json ? `${JSON.stringify(status)}\n` : textOf(host, status))
  if (status.problems.length > 0) host.setExitCode(1)
}

function textOf({ stdout }: Host, status: ClusterStatus): string {
  const { cluster, node: asked, nodes, lanes, log, problems } = status
  const nowMs = systemClock.wallMs()
  const rows = nodes.map(({ node, host, release, startedAtMs, lanesOwned, silentMs }) => [
    `${node === asked ? '*' : ' '} ${onOneLine(host ?? node)}`,
    onOneLine(release ?? '?'),
    startedAtMs === undefined ? '?' : ageText(Math.max(0, nowMs - startedAtMs)),
    ageText(silentMs),
    grouped(lanesOwned),
    grouped(sumOf(lanes.filter(({ owner }) => owner === node).map(({ records }) => records))),
  ])
  const waiting = sumOf(lanes.map(({ records }) => records))
  const owned = lanes.filter(({ owner }) => owner !== undefined).length
  return [
    `${paint(stdout, 'bold', `cluster ${onOneLine(cluster)}`)}\n`,
    tableText(
      ['  node', 'release', 'up', 'heard', 'lanes', 'records waiting'],
      rows,
      'no node is known',
    ),
    `lanes  ${owned} of ${lanes.length} have an owner; ${grouped(waiting)} records wait\n${logText(log)}`,
    problems.length === 0
      ? `${paint(stdout, 'green', 'nothing is wrong')}\n`
      : problems.map((text) => `${paint(stdout, 'red', onOneLine(text))}\n`).join(''),
  ].join('\n')
}

function logText(log: LogStatus | undefined): string {
  if (log === undefined) return 'log    cannot be asked now\n'
  const { stream, leader, followers, bytes, bytesMax, connectedTo } = log
  const servers = followers.map(({ server, isOnline, isCurrent, lag }) => {
    const state = isCurrent ? 'in step' : `${grouped(lag)} behind`
    return `${onOneLine(server)} ${isOnline ? state : 'offline'}`
  })
  const led = leader === undefined ? 'without a leader' : `led by ${onOneLine(leader)}`
  return [
    `log    ${[`${onOneLine(stream)} ${led}`, ...servers].join(', ')}\n`,
    `       ${mebibytes(bytes)} of ${mebibytes(bytesMax)}, NATS ${onOneLine(connectedTo.version)}\n`,
  ].join('')
}

const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0)

const mebibytes = (bytes: number) => `${grouped(Math.ceil(bytes / 1_048_576))} MiB`

/** The largest unit that counts at least 2: `45 s`, `90 min`, `47 h`, `12 d`. */
function ageText(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}
