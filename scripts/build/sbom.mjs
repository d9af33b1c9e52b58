// The software bill of materials of the package, in CycloneDX 1.6: what is in its bundles, which
// package.json calls development dependencies, and what npm installs beside them.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { foldersIn, swaggerUiVersion } from './licences.mjs'

/**
 * @param bundled paths of the files of which something is in a bundle
 * @returns the text of dist/sbom.cdx.json: the same one for the same lock file and sources
 */
export function sbomOf(root, bundled) {
  const manifest = readJson(root, 'package.json')
  const { packages } = readJson(root, 'package-lock.json')
  const inBundle = new Set(foldersIn(bundled))
  const components = Object.entries(packages).flatMap(([folder, locked]) => {
    const isInstalled = folder !== '' && !locked.dev && !locked.devOptional
    if (!inBundle.has(folder) && !isInstalled) return []
    const name = locked.name ?? folder.replace(/^.*node_modules\//, '')
    return [component({ ...locked, name, isBundled: inBundle.has(folder) })]
  })
  // A copy of it is in the package of the API's page.
  const swaggerUi = { name: 'swagger-ui-dist', version: swaggerUiVersion(root) }
  components.push(component({ ...swaggerUi, license: 'Apache-2.0', isBundled: true }))

  const { name, version, license } = manifest
  const self = { ...component({ name, version, license }), type: 'application' }
  const byReference = new Map(components.map((each) => [each['bom-ref'], each]))
  const references = [...byReference.keys()].toSorted((a, b) => (a < b ? -1 : 1))
  return `${JSON.stringify(
    {
      $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      version: 1,
      metadata: { lifecycles: [{ phase: 'build' }], component: self },
      components: references.map((reference) => byReference.get(reference)),
      dependencies: [{ ref: self['bom-ref'], dependsOn: references }],
    },
    undefined,
    1,
  )}\n`
}

function component({ name, version, license, integrity, optional, isBundled }) {
  const [group, ofGroup] = name.startsWith('@') ? name.split('/') : [undefined, name]
  const purl = `pkg:npm/${group === undefined ? '' : `${encodeURIComponent(group)}/`}${ofGroup}@${version}`
  return {
    type: 'library',
    'bom-ref': purl,
    ...(group !== undefined && { group }),
    name: ofGroup,
    version,
    ...(optional && { scope: 'optional' }),
    ...(integrity && { hashes: hashesOf(integrity) }),
    licenses: [/[ (]/.test(license) ? { expression: license } : { license: { id: license } }],
    purl,
    ...(isBundled !== undefined && {
      properties: [{ name: 'sluice:bundled', value: String(isBundled) }],
    }),
  }
}

/** npm says `sha512-` and base64, CycloneDX SHA-512 and hexadecimal digits. */
function hashesOf(integrity) {
  return integrity.split(' ').flatMap((each) => {
    const [, algorithm, digest] = /^sha(512|1)-(.+)$/.exec(each) ?? []
    if (digest === undefined) return []
    return [{ alg: `SHA-${algorithm}`, content: Buffer.from(digest, 'base64').toString('hex') }]
  })
}

function readJson(root, file) {
  return JSON.parse(readFileSync(path.join(root, file), 'utf8'))
}
