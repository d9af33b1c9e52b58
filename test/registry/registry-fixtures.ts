import path from 'node:path'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Clock } from '../../src/base/clock.ts'
import { createCertificateIssuer } from '../../src/identity/certificates/certificate-issuer.ts'
import { createPolicyFiles } from '../../src/identity/policies/policy-records.ts'
import { createPolicyStore } from '../../src/identity/policies/policy-store.ts'
import type { PolicyStore } from '../../src/identity/policies/policy-store.ts'
import type { OpenRecords } from '../../src/registry/records.ts'
import { openRegistry } from '../../src/registry/registry.ts'
import type { Registry } from '../../src/registry/registry.ts'
import type { Logger } from '../../src/telemetry/telemetry.ts'

/** Things, certificates and policies in a folder, with a CA that is made when it is needed. */
export interface TestRegistry {
  readonly registry: Registry
  readonly policies: PolicyStore
  readonly resourceArnOf: (resource: string) => string
  readonly policiesDir: string
  /** The folder of the CA, as `sluice certs` makes it. */
  readonly authorityDir: string
}

const resourceArnOf = (resource: string) => `arn:aws:iot:eu-central-1:123456789012:${resource}`

export async function openTestRegistry(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  folder: string,
  hooks: {
    readonly reload?: () => Promise<void>
    readonly onDeactivated?: (certificateId: string) => void
    readonly hasAuthority?: boolean
    readonly openRecords?: OpenRecords
  } = {},
): Promise<TestRegistry> {
  const { reload = () => Promise.resolve(), onDeactivated = () => undefined } = hooks
  const policiesDir = path.join(folder, 'policies')
  const authorityDir = path.join(folder, 'certs')
  const policies = createPolicyStore(
    { clock, arnOf: resourceArnOf, reload, onFolderMade: () => Promise.resolve() },
    createPolicyFiles(policiesDir),
  )
  const place =
    hooks.hasAuthority === false
      ? ({ kind: 'none' } as const)
      : ({ kind: 'folder', directory: authorityDir } as const)
  const registry = await openRegistry(
    {
      clock,
      logger,
      openRecords: hooks.openRecords,
      arnOf: resourceArnOf,
      issuer: createCertificateIssuer({ clock }, place),
      isTrusted: async (certificate) => {
        const authority = new X509Certificate(readFileSync(path.join(authorityDir, 'ca.pem')))
        return certificate.checkIssued(authority)
      },
      policiesOf: (id) => policies.policiesOf(`cert:${id}`),
      async detachPolicies(id) {
        for (const name of await policies.policiesOf(`cert:${id}`)) {
          await policies.detach(name, `cert:${id}`)
        }
      },
      onDeactivated,
    },
    path.join(folder, 'registry'),
  )
  return { registry, policies, resourceArnOf, policiesDir, authorityDir }
}
