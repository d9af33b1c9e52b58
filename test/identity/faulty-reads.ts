import { nodeFileReads } from '../../src/storage/file-reads.ts'
import type { FileReads } from '../../src/storage/file-reads.ts'

type Call = keyof FileReads

/** Node's calls, of which some fail as the system makes them fail. */
export interface FaultyReads {
  readonly reads: FileReads
  /** Makes a call fail for files whose path ends so, until `heal`. */
  readonly fail: (call: Call, ending: string, code: 'EMFILE' | 'EIO' | 'EACCES') => void
  readonly heal: () => void
  /** How often each call was made. */
  readonly counts: Readonly<Record<Call, number>>
}

export function createFaultyReads(): FaultyReads {
  const faults: { readonly call: Call; readonly ending: string; readonly code: string }[] = []
  const counts: Record<Call, number> = { open: 0, stat: 0, lstat: 0, readdir: 0 }

  function faulty<Name extends Call>(name: Name): FileReads[Name] {
    const call = nodeFileReads[name] as (...given: readonly unknown[]) => Promise<unknown>
    const guarded = async (...given: readonly unknown[]) => {
      counts[name] += 1
      const file = String(given[0])
      const fault = faults.find(({ call: of, ending }) => of === name && file.endsWith(ending))
      if (!fault) return call(...given)
      const message = `${fault.code}: ${name} '${file}'`
      throw Object.assign(new Error(message), { code: fault.code, syscall: name, path: file })
    }
    return guarded as FileReads[Name]
  }

  return {
    reads: {
      open: faulty('open'),
      stat: faulty('stat'),
      lstat: faulty('lstat'),
      readdir: faulty('readdir'),
    },
    fail: (call, ending, code) => void faults.push({ call, ending, code }),
    heal: () => void faults.splice(0),
    counts,
  }
}
