import { Spec, Validation } from '@cyclonedx/cyclonedx-library'

interface Bom {
  readonly components: readonly { readonly purl: string }[]
}

export interface NamedVersion {
  readonly name: string
  readonly version: string
}

/**
 * @param text a software bill of materials in CycloneDX 1.6
 * @param installed the packages that it must name at least
 * @returns the number of components
 * @throws Error that says what CycloneDX's schema refuses, or which package is missing (rejects)
 */
export async function checkSbom(text: string, installed: readonly NamedVersion[]): Promise<number> {
  const refused = await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(text)
  if (refused !== null) throw new Error(`the SBOM is not valid: ${JSON.stringify(refused)}`)
  const { components } = JSON.parse(text) as Bom
  const named = new Set(components.map(({ purl }) => purl))
  const missing = installed
    .map(({ name, version }) => `pkg:npm/${name.replace('@', '%40')}@${version}`)
    .filter((purl) => !named.has(purl))
  if (missing.length > 0) throw new Error(`the SBOM lacks ${missing.join(', ')}`)
  return components.length
}
