import { expect, test } from 'vitest'
import { healthOf } from '../../src/app/health.ts'
import type { Health } from '../../src/http/sluice/status-routes.ts'
import { createFileFaults } from '../../src/storage/file-faults.ts'
import type { GuardedFiles } from '../../src/storage/file-faults.ts'

type Row = [
  why: string,
  status: Parameters<typeof healthOf>[0],
  given: {
    unreadable?: readonly GuardedFiles[]
    knowsAccount?: boolean
    invalidRules?: number
    unusable?: readonly string[]
    isStalled?: boolean
    isFull?: boolean
    doWritesFail?: boolean
  },
  health: Health,
]
const rows: readonly Row[] = [
  ['nothing is wrong', 'ok', {}, { status: 'ok', reasons: [] }],
  [
    'a policy cannot be read',
    'ok',
    { unreadable: ['policies'] },
    { status: 'degraded', reasons: ['policiesUnreadable'] },
  ],
  [
    'users are shut out, devices with certificates are not',
    'ok',
    { unreadable: ['passwords'] },
    { status: 'degraded', reasons: ['passwordsUnreadable'] },
  ],
  [
    'HTTP is shut, MQTT is open',
    'ok',
    { unreadable: ['accessKeys'] },
    { status: 'degraded', reasons: ['accessKeysUnreadable'] },
  ],
  [
    'several files cannot be read',
    'ok',
    { unreadable: ['policies', 'accessKeys'] },
    { status: 'degraded', reasons: ['policiesUnreadable', 'accessKeysUnreadable'] },
  ],
  [
    'TLS goes on with its earlier certificate',
    'ok',
    { unreadable: ['tls'] },
    { status: 'degraded', reasons: ['tlsUnreadable'] },
  ],
  [
    'a mapping is left out',
    'ok',
    { unusable: ['/data/event-source/mappings/x.json'] },
    { status: 'degraded', reasons: ['mappingsInvalid'] },
  ],
  [
    'the account is not known',
    'ok',
    { knowsAccount: false },
    { status: 'degraded', reasons: ['accountUnknown'] },
  ],
  [
    'a rule file cannot be used',
    'ok',
    { invalidRules: 1 },
    { status: 'degraded', reasons: ['rulesInvalid'] },
  ],
  [
    'publishers are stalled',
    'ok',
    { isStalled: true },
    { status: 'degraded', reasons: ['publishersStalled'] },
  ],
  [
    'messages wait for room in the outbox',
    'ok',
    { isFull: true },
    { status: 'degraded', reasons: ['outboxFull'] },
  ],
  [
    'the outbox cannot write',
    'ok',
    { doWritesFail: true },
    { status: 'degraded', reasons: ['outboxWritesFail'] },
  ],
  [
    'the engine starts',
    'starting',
    { knowsAccount: false },
    { status: 'starting', reasons: ['accountUnknown'] },
  ],
  [
    'the engine stops',
    'stopping',
    { unreadable: ['tls'] },
    { status: 'stopping', reasons: ['tlsUnreadable'] },
  ],
]

test.each(rows)('health while %s', (_why, status, given, health) => {
  const {
    unreadable = [],
    knowsAccount = true,
    invalidRules = 0,
    unusable = [],
    isStalled = false,
    isFull = false,
    doWritesFail = false,
  } = given
  const faults = createFileFaults()
  for (const kind of unreadable) faults.follow(kind).set(true)
  const account = { isKnown: () => knowsAccount }
  const rules = { invalidCount: () => invalidRules }
  const mappings = { unusableFiles: () => unusable }
  const ingress = { isStalled }
  const outbox = { troubles: { isFull: () => isFull, doWritesFail: () => doWritesFail } }
  const parts = { account, faults, rules, mappings, ingress, outbox }
  expect(healthOf(status, parts)).toEqual(health)
})
