import { readFileSync } from 'node:fs'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { SluiceError } from '../../../shared/errors.ts'
import { printable } from '../../../shared/printable.ts'
import { textTable } from '../../../shared/text-table.ts'
import { parseName } from '../argument-parsers.ts'
import type { Commands, Session } from '../session.ts'

interface DecoderAnswer {
  readonly tenant: string | null
  readonly name: string
  readonly kind: string
  readonly revision: number
  readonly id: string
  readonly sha256: string
  readonly characters: number
  readonly options: Readonly<Record<string, string | number>>
  readonly at: string | null
  readonly who: string
}

interface Place {
  readonly tenant?: string
}

interface Upload extends Place {
  readonly kind?: 'codec' | 'protobuf'
  readonly option: readonly (readonly [string, string])[]
}

/** Adds to the commands of decoders those of the ones that are uploaded: codecs, and Protocol Buffers. */
export function addUploadedDecoders(decoders: Command, run: Commands['run']): void {
  const at = (command: Command): Command =>
    command.option('--tenant <name>', 'of this tenant; without it of all tenants', parseName)
  at(decoders.command('upload').description('put a decoder in force; policies that name it use it from now on'))
    .argument('<name>', 'what policies call it: codec:NAME or protobuf:NAME', parseName)
    .argument('<file>', 'JavaScript, or a FileDescriptorSet as protoc writes it')
    .addOption(new Option('--kind <kind>', 'what it is; .js files are codecs').choices(['codec', 'protobuf']))
    .option('--option <name=value>', 'how it is used; several times for several', collectOption, [])
    .action(run(upload))
  at(decoders.command('uploaded').description('decoders that were uploaded'))
    .option('--all', 'of all tenants')
    .action(run(list))
  at(decoders.command('show').description('a decoder with its content'))
    .argument('<name>', 'its name', parseName)
    .action(run(show))
  at(decoders.command('remove').description('remove a decoder that no policy names'))
    .argument('<name>', 'its name', parseName)
    .action(run(remove))
}

function collectOption(text: string, before: Upload['option']): Upload['option'] {
  const [, name, value] = /^([a-z_]+)=(.+)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Write NAME=VALUE.')
  return [...before, [name, value]]
}

async function upload(session: Session, name: string, file: string, given: Upload): Promise<void> {
  const bytes = read(file)
  const kind = given.kind ?? (/\.[cm]?js$/.test(file) ? 'codec' : 'protobuf')
  const content = bytes.toString(kind === 'codec' ? 'utf8' : 'base64')
  const options = Object.fromEntries(
    given.option.map(([option, value]) => [option, option === 'port' ? Number(value) : value]),
  )
  const answer = await session.api.put<DecoderAnswer>(pathOf(name, given), { kind, content, options })
  session.result(answer, () => {
    const { revision, sha256 } = answer
    const policy = `./sluice policies set decoder=${kind}:${name}`
    const uses = `Policies that name it use it for messages that come from now on. To name it: ${policy}`
    return `${kind}:${name} has revision ${revision}, SHA-256 ${sha256}.\n${uses}`
  })
}

async function list(session: Session, { tenant, all }: Place & { all?: boolean }): Promise<void> {
  const query = all === true ? { all: 'true' } : { tenant }
  const answer = await session.api.get<{ decoders: readonly DecoderAnswer[] }>('/v1/uploaded-decoders', query)
  session.result(answer, () => {
    if (answer.decoders.length === 0) return 'No decoder was uploaded.'
    const rows = answer.decoders.map((one) => [
      one.tenant ?? 'all',
      `${one.kind}:${one.name}`,
      String(one.revision),
      one.id,
      Object.entries(one.options)
        .map(([option, value]) => `${option}=${value}`)
        .join(' '),
      one.at ?? '',
      one.who,
    ])
    return textTable(['tenant', 'decoder', 'revision', 'content', 'options', 'at', 'by'], rows)
  })
}

async function show(session: Session, name: string, { tenant }: Place): Promise<void> {
  const path = `/v1/uploaded-decoders/${encodeURIComponent(name)}`
  const answer = await session.api.get<DecoderAnswer & { content: string }>(path, { tenant })
  session.result(answer, () => {
    const { kind, revision, at, who, sha256, content } = answer
    return `${kind}:${name}, revision ${revision} of ${at ?? ''} by ${printable(who)}, SHA-256 ${sha256}\n\n${content}`
  })
}

async function remove(session: Session, name: string, place: Place): Promise<void> {
  await session.api.delete(pathOf(name, place))
  session.result({ name, removed: true }, () => `${name} is removed. What came before is still decoded by it.`)
}

function pathOf(name: string, { tenant }: Place): string {
  const query = tenant === undefined ? '' : `?tenant=${encodeURIComponent(tenant)}`
  return `/v1/uploaded-decoders/${encodeURIComponent(name)}${query}`
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new SluiceError('bad_request', `${file} cannot be read`, { cause: error })
  }
}
