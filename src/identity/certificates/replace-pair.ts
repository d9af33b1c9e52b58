import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readFile, readdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import { flushFolder } from '../../storage/durable-file.ts'
import { ifPresent } from '../../storage/file-reads.ts'
import { writePublicFile, writeSecretFile } from '../../storage/secret-file.ts'
import type { KeyPairPem } from './certificate-maker.ts'

/**
 * Replaces a certificate and its key in one step, although they are two files: whenever the process
 * or the machine stops, the two names hold the pair from before or the new one, never one of each.
 *
 *   .<name>.pair          a link to one of these folders
 *   .<name>.pair-<random> a pair: certificate.pem, key.pem
 *
 * 1. The present pair is copied into a folder, and both names become links into it, one after the
 *    other. What they hold stays the same.
 * 2. The link to the folder is replaced by one to the folder of the new pair. This is the step.
 * 3. The names become files again, one after the other, and the folders go.
 *
 * A replacement that was cut off is finished by `finishReplacement`. Files that are links of their
 * owner, or a system without links, get one file after the other.
 */
interface PairFiles {
  readonly certificateFile: string
  readonly keyFile: string
}

const inPair = Object.freeze({ certificate: 'certificate.pem', key: 'key.pem' })

/** @param afterStep called after each change on disk, for tests */
export async function replacePair(
  files: PairFiles,
  pair: KeyPairPem,
  afterStep: () => void = () => undefined,
): Promise<void> {
  await finishReplacement(files)
  const { certificateFile, keyFile } = files
  const before = await presentPair(files)
  if (before) {
    const { link, folder } = placesOf(files)
    await pointTo(link, await makePair(files, before))
    afterStep()
    const linkName = path.basename(link)
    await replaceByLink(keyFile, path.join(linkName, inPair.key))
    afterStep()
    await replaceByLink(certificateFile, path.join(linkName, inPair.certificate))
    await flushFolder(folder)
    afterStep()
    await pointTo(link, await makePair(files, pair))
    afterStep()
  }
  await writeBoth(files, pair, afterStep)
  await removeLeftovers(files)
}

/** Finishes a replacement that was cut off, in whichever step. */
export async function finishReplacement(files: PairFiles): Promise<void> {
  const { link } = placesOf(files)
  if (await ifPresent(lstat(link))) {
    const pair = await readPair({
      certificateFile: path.join(link, inPair.certificate),
      keyFile: path.join(link, inPair.key),
    })
    // Names that are files already hold this pair, or the link is not yet used.
    if (await isOurLink(files.keyFile, link)) await writeSecretAsFile(files.keyFile, pair.keyPem)
    if (await isOurLink(files.certificateFile, link)) {
      await writePublicAsFile(files.certificateFile, pair.certificatePem)
    }
  }
  await removeLeftovers(files)
}

async function writeBoth(
  { certificateFile, keyFile }: PairFiles,
  { certificatePem, keyPem }: KeyPairPem,
  afterStep: () => void,
): Promise<void> {
  const { link } = placesOf({ certificateFile, keyFile })
  if (await isOurLink(keyFile, link)) await writeSecretAsFile(keyFile, keyPem)
  else await writeSecretFile(keyFile, keyPem)
  afterStep()
  if (await isOurLink(certificateFile, link)) {
    await writePublicAsFile(certificateFile, certificatePem)
  } else await writePublicFile(certificateFile, certificatePem)
  afterStep()
}

/** Beside the link, and renamed over it: writing to the name would follow the link. */
async function writeSecretAsFile(file: string, text: string): Promise<void> {
  const draft = draftOf(file)
  await writeSecretFile(draft, text)
  await rename(draft, file)
  await flushFolder(path.dirname(file))
}

async function writePublicAsFile(file: string, text: string): Promise<void> {
  const draft = draftOf(file)
  await writePublicFile(draft, text)
  await rename(draft, file)
  await flushFolder(path.dirname(file))
}

/** The pair, where both are plain files that one link can stand for. */
async function presentPair(files: PairFiles): Promise<KeyPairPem | undefined> {
  if (process.platform === 'win32') return undefined
  const [certificate, key] = await Promise.all([
    ifPresent(lstat(files.certificateFile)),
    ifPresent(lstat(files.keyFile)),
  ])
  return certificate?.isFile() && key?.isFile() ? readPair(files) : undefined
}

async function readPair({ certificateFile, keyFile }: PairFiles): Promise<KeyPairPem> {
  const [certificatePem, keyPem] = await Promise.all([
    readFile(certificateFile, 'utf8'),
    readFile(keyFile, 'utf8'),
  ])
  return { certificatePem, keyPem }
}

function placesOf({ certificateFile }: PairFiles) {
  const folder = path.dirname(certificateFile)
  const prefix = `.${path.basename(certificateFile, '.pem')}.pair`
  return { folder, prefix, link: path.join(folder, prefix) }
}

/** @returns the name of a new folder with this pair, which is on disk */
async function makePair(files: PairFiles, pair: KeyPairPem): Promise<string> {
  const { folder, prefix } = placesOf(files)
  const name = `${prefix}-${randomBytes(6).toString('hex')}`
  await mkdir(path.join(folder, name), { mode: 0o755 })
  await writeSecretFile(path.join(folder, name, inPair.key), pair.keyPem)
  await writePublicFile(path.join(folder, name, inPair.certificate), pair.certificatePem)
  return name
}

async function pointTo(link: string, target: string): Promise<void> {
  await replaceByLink(link, target)
  await flushFolder(path.dirname(link))
}

async function replaceByLink(file: string, target: string): Promise<void> {
  const draft = draftOf(file)
  await symlink(target, draft)
  await rename(draft, file)
}

async function isOurLink(file: string, link: string): Promise<boolean> {
  if (!(await ifPresent(lstat(file)))?.isSymbolicLink()) return false
  return path.dirname(path.resolve(path.dirname(file), await readlink(file))) === link
}

async function removeLeftovers(files: PairFiles): Promise<void> {
  const { folder, prefix, link } = placesOf(files)
  await rm(link, { force: true })
  const names = (await ifPresent(readdir(folder))) ?? []
  for (const name of names.filter((each) => each.startsWith(`${prefix}-`))) {
    await rm(path.join(folder, name), { recursive: true, force: true })
  }
}

/** In the pattern of the leftovers, so that a crash leaves none for ever. */
function draftOf(file: string): string {
  const name = path
    .basename(file, '.pem')
    .replace(/^\./, '')
    .replace(/-key$|\.pair$/, '')
  const random = randomBytes(6).toString('hex')
  return path.join(path.dirname(file), `.${name}.pair-${random}.tmp`)
}
