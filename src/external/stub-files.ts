import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../base/errors.ts'
import { ifPresent, readPlainFile } from '../storage/file-reads.ts'

/** Files that stand in for services, by the names of what they hold. */
export interface StubFiles {
  /**
   * The file of a name, whether it is there or not.
   *
   * @param folders the names of the folders that it is in
   * @param name may come from a message, and stays one name of a file
   * @param ending such as `.json`
   * @throws Error when the name is too long for a file
   */
  fileOf(folders: readonly string[], name: string, ending: string): StubFile
}

export interface StubFile {
  /** The absolute path, for people. */
  readonly file: string
  /**
   * Reads the file as it is now.
   *
   * @returns undefined when there is none
   * @throws Error that names the file and says why it cannot be read (rejects)
   */
  read(): Promise<Buffer | undefined>
}

/** The values of a stub take many times as much memory as its text. */
const bytesMax = 1024 * 1024
/** The longest name of a file on the file systems of Linux and macOS. */
const fileNameBytesMax = 255

export function createStubFiles(directory: string): StubFiles {
  return {
    fileOf(folders, name, ending) {
      const names = [...folders.map(fileNameOf), `${fileNameOf(name)}${ending}`]
      const long = names.find(({ length }) => length > fileNameBytesMax)
      if (long !== undefined) {
        throw new Error(
          `a stub cannot be a file with a name of ${long.length} bytes; ` +
            `at most ${fileNameBytesMax} are possible`,
        )
      }
      const file = path.join(directory, ...names)
      return { file, read: () => readStub(directory, names, file) }
    },
  }
}

/**
 * Writes a name so that it is one name of a file: nothing in it is read as a path, as a hidden file
 * or as another character.
 */
function fileNameOf(name: string): string {
  return name.replaceAll(/[^\w.=+@-]|^\./gu, (character) =>
    Array.from(
      Buffer.from(character),
      (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    ).join(''),
  )
}

/**
 * Each name is looked for in the listing of its folder, because a file system that ignores case
 * would open the file of another name.
 */
async function readStub(
  directory: string,
  names: readonly string[],
  file: string,
): Promise<Buffer | undefined> {
  try {
    let folder = directory
    for (const name of names) {
      const entries = await ifPresent(readdir(folder))
      if (entries?.includes(name) !== true) return undefined
      folder = path.join(folder, name)
    }
    return (await readPlainFile(file, bytesMax))?.bytes
  } catch (thrown) {
    throw new Error(`${file} cannot be read: ${messageOf(thrown)}`, { cause: thrown })
  }
}
