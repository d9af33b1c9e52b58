import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { openMqttAccess } from '../../src/identity/mqtt-access.ts'
import type { MqttAccessOptions } from '../../src/identity/mqtt-access.ts'
import { setPassword } from '../../src/identity/passwords/password-file.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { IngressOptions } from '../../src/ingress/ingress.ts'
import { createWatchedLog } from '../identity/identity-fixtures.ts'
import type { WatchedLog } from '../identity/identity-fixtures.ts'
import { temporaryFolder } from '../helpers/sluice-process.ts'
import { atTheEnd, connectPacket, openRaw, startIngress } from './helpers.ts'
import type { TestIngress } from './helpers.ts'

/** An ingress that asks the identity files of a folder of its own. */
export interface GuardedIngress extends TestIngress {
  /** Of the identity files: lines and clock. */
  readonly watched: WatchedLog
  /** Replaces all policies of the folder, and resolves when they hold. */
  readonly changePolicies: (policies: Policies) => Promise<void>
}

export interface PolicyFiles {
  readonly statements: readonly unknown[]
  readonly targets?: readonly string[]
}
/** Undefined: there is no folder. */
export type Policies = Readonly<Record<string, PolicyFiles>> | undefined

export interface GuardedOptions extends Partial<Omit<MqttAccessOptions, 'policiesDir'>> {
  readonly policies?: Policies
  /** User -> password; absent: there is no password file. */
  readonly passwords?: Readonly<Record<string, string>>
  readonly ingress?: Partial<IngressOptions>
}

/** As cheap as a hash may be. */
const cost = { logN: 14, r: 8, p: 1 }
const owner = { region: 'us-east-1', accountId: '123456789012' }

export async function startGuarded(options: GuardedOptions = {}): Promise<GuardedIngress> {
  const { policies, passwords, ingress, ...access } = options
  const temporary = await temporaryFolder()
  const folder = temporary.path
  atTheEnd(() => temporary.remove())
  const policiesDir = path.join(folder, 'policies')
  await writePolicies(policiesDir, policies)
  const passwordFile = path.join(folder, 'passwords')
  for (const [user, password] of Object.entries(passwords ?? {})) {
    await setPassword(passwordFile, { user, password, cost })
  }
  const watched = createWatchedLog()
  const opened = await openMqttAccess(watched, {
    anonymous: { tcp: true, tls: true, websocket: false },
    owner,
    ...access,
    policiesDir,
    ...(passwords && { passwordFile }),
  })
  atTheEnd(() => opened.close())
  const started = await startIngress(undefined, ingress, undefined, systemClock, opened)
  return {
    ...started,
    watched,
    async changePolicies(next) {
      await rm(policiesDir, { recursive: true, force: true })
      await writePolicies(policiesDir, next)
      await watched.nextLine()
    },
  }
}

async function writePolicies(directory: string, policies: Policies): Promise<void> {
  if (policies === undefined) return
  await mkdir(directory)
  for (const [name, { statements, targets = ['all'] }] of Object.entries(policies)) {
    const document = { Version: '2012-10-17', Statement: statements }
    await writeFile(path.join(directory, `${name}.json`), JSON.stringify(document))
    await writeFile(path.join(directory, `${name}.meta.json`), JSON.stringify({ targets }))
  }
}

const arn = (resource: string) => `arn:aws:iot:us-east-1:123456789012:${resource}`

/** `allow('Publish', 'topic/a/*')` */
export const allow = (action: string, ...resources: readonly string[]) => ({
  Effect: 'Allow',
  Action: `iot:${action}`,
  Resource: resources.map((resource) => (resource === '*' ? '*' : arn(resource))),
})
export const deny = (action: string, ...resources: readonly string[]) => ({
  ...allow(action, ...resources),
  Effect: 'Deny',
})

/** @returns the return code of CONNACK, after which the connection is closed unless it is 0 */
export async function returnCodeOf(
  port: number,
  connect: Parameters<typeof connectPacket>[0],
): Promise<number> {
  const client = await openRaw(port)
  client.send(connectPacket(connect))
  const connack = await client.next()
  if (connack.cmd !== 'connack') throw new Error(`unexpected ${connack.cmd}`)
  if (connack.returnCode !== 0) await client.closed
  else client.destroy()
  return connack.returnCode ?? -1
}
