import { openCheckpointFile } from './checkpoint-file.ts'
import type { CheckpointStore } from './checkpoints.ts'

export interface LmdbCheckpoints extends CheckpointStore {
  /** Forgets an application: all its checkpoints are removed. */
  forget(application: string): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the checkpoints in a folder, which is created when it is missing.
 *
 * @throws SluiceError DataFolderDamaged: the file is damaged, or the folder has lost it;
 *   DataFolderUnusable (rejects)
 */
export function openLmdbCheckpoints(folder: string): Promise<LmdbCheckpoints> {
  return openCheckpointFile(folder, {
    wayOut: {
      damaged: 'remove the folder to begin again where a new consumer does',
      lost: 'put it back, or remove the folder to begin again where a new consumer does',
    },
  })
}
