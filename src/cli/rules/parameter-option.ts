import { InvalidArgumentError, Option } from 'commander'

/** `--parameter Name=value`, given as often as needed. */
export function parameterOption(): Option {
  return new Option(
    '--parameter <name=value>',
    'value of a parameter of the template, or of what it cannot resolve',
  )
    .default(new Map<string, string>(), 'what the template has')
    .argParser((text: string, before: ReadonlyMap<string, string>) => {
      const separator = text.indexOf('=')
      if (separator < 1) throw new InvalidArgumentError(`"${text}" is not Name=value.`)
      return new Map([...before, [text.slice(0, separator), text.slice(separator + 1)]])
    })
}
