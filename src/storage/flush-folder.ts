import { closeSync, fsyncSync, openSync } from 'node:fs'

/** Makes the names in a folder durable: of files that were made or renamed in it. */
export function flushFolder(folder: string): void {
  // Windows opens no folder as a file, and needs no flush for a rename.
  if (process.platform === 'win32') return
  const fileDescriptor = openSync(folder, 'r')
  try {
    fsyncSync(fileDescriptor)
  } finally {
    closeSync(fileDescriptor)
  }
}
