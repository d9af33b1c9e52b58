import type { ReloadedFileDependencies } from '../../storage/reloaded-file.ts'
import type { PemBundle } from './pem-bundle.ts'

/** Tells of certificates that expire while they are in force, and of damaged files. */
interface ValidityWatch {
  /** These are in force from now on. */
  follow(certificates: readonly FiledCertificate[]): void
  /** What is damaged in the version of the files that was read last. */
  damage(faults: readonly FileFault[]): void
  close(): void
}

export type FiledCertificate = PemBundle['certificates'][number] & { readonly file: string }

export interface FileFault {
  readonly file: string
  readonly problem: string
}

/** By the time of day, which may be set: it is asked again and again. */
const checkIntervalMs = 60_000

export function createValidityWatch(
  { clock, logger, faults }: ReloadedFileDependencies,
  { certificateFile }: { readonly certificateFile: string },
): ValidityWatch {
  const expiry = faults?.follow('tlsExpired')
  const damaged = faults?.follow('tlsDamaged')
  let certificates: readonly FiledCertificate[] = []
  let told = new Set<string>()
  let cancel: (() => void) | undefined

  function check(): void {
    const nowMs = clock.wallMs()
    const now = certificates.flatMap((certificate) => problemOf(certificate, nowMs) ?? [])
    for (const { file, problem } of now) {
      if (told.has(`${file} ${problem}`)) continue
      logger.error({ file, problem }, 'a certificate in force is not valid now: clients refuse it')
    }
    told = new Set(now.map(({ file, problem }) => `${file} ${problem}`))
    expiry?.set(now.length > 0)
    cancel = clock.after(checkIntervalMs, check)
  }

  return {
    follow(inForce) {
      certificates = inForce
      cancel?.()
      check()
    },
    damage(parts) {
      damaged?.set(parts.length > 0)
      for (const { file, problem } of parts) {
        logger.error(
          { file, problem },
          `a part of the TLS files of ${certificateFile} is damaged: it is not used`,
        )
      }
    },
    close() {
      cancel?.()
      expiry?.close()
      damaged?.close()
    },
  }
}

function problemOf(
  { file, title, validFromMs, validToMs }: FiledCertificate,
  nowMs: number,
): FileFault | undefined {
  if (nowMs >= validToMs) return { file, problem: `${title} expired at ${textOf(validToMs)}` }
  if (nowMs < validFromMs) {
    return { file, problem: `${title} is not valid before ${textOf(validFromMs)}` }
  }
  return undefined
}

const textOf = (epochMs: number) => new Date(epochMs).toISOString()
