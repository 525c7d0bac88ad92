import Type, { type Static } from 'typebox'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { DECODERS } from '../../../shared/decoders/decoder-names.ts'
import { learn } from '../../../shared/decoders/learn.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { checkNewName } from '../../../shared/names.ts'
import { idOf, readDocument, type PolicyDocument } from '../../../shared/policies/document.ts'
import { formatRevision, REVISION_HEADER } from '../../../shared/policies/revision.ts'
import { formatUploadedName, uploadedNamesOf, withUploadedNames } from '../../../shared/policies/uploaded-names.ts'
import type { Decoders } from '../../../shared/registry/decoders-port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { DEFAULT_STREAM, deviceKey, formatTelemetryTopic } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { PayloadVerdict, viewVerdict } from '../payload-verdict.ts'
import { problemResponses } from '../problem.ts'
import { Stream, streamOf } from './readings.ts'

/** Whose the payload is said to be; a device of that name is not asked for. */
const NOBODY = { tenant: 'nobody', device: 'nobody' }

const Body = Type.Object(
  {
    decoder: Type.String({ maxLength: 256 }),
    payloadBase64: Type.String({ description: 'The bytes.', format: 'byte' }),
    tenant: Type.Optional(
      Type.String({ description: 'Whose uploaded decoders count; without it only those of all tenants.' }),
    ),
    stream: Type.Optional(Stream),
    settings: Type.Optional(
      Type.Unsafe<PolicyDocument>({ type: 'object', description: 'Other settings of a policy; see docs/policies.md.' }),
    ),
  },
  { additionalProperties: false },
)

type Parts = ApiParts<'registry' | 'settings' | 'uploaded'>

/** Which decoders there are, and what they make of a payload. */
export function decoderRoutes(app: Api, options: Parts): void {
  const tags = ['policies']
  app.get(
    '/decoders',
    {
      schema: {
        tags,
        summary: 'The decoders that a policy may name',
        response: {
          200: Type.Object({ decoders: Type.Array(Type.Object({ name: Type.String(), reads: Type.String() })) }),
          ...problemResponses,
        },
      },
    },
    () => ({ decoders: Object.entries(DECODERS).map(([name, reads]) => ({ name, reads })) }),
  )
  app.post(
    '/decoders/test',
    {
      bodyLimit: 2 * options.settings.MAX_PACKET_BYTES + 65_536,
      schema: {
        tags,
        summary: 'What a payload becomes by a decoder',
        description: 'Nothing is written, and the policies in force do not count.',
        body: Body,
        response: { 200: PayloadVerdict, ...problemResponses },
      },
    },
    ({ body }) => verdictOf(options, body),
  )
}

/** Errors: `policy_invalid`, `name_invalid`, and `payload_too_large`. With a table of its own: what it learns is of no use to others. */
async function verdictOf(
  { registry, settings: limits, uploaded }: Parts,
  { decoder, payloadBase64, tenant, stream, settings }: Static<typeof Body>,
): Promise<PayloadVerdict> {
  if (tenant !== undefined) checkNewName('tenant', tenant)
  const asked = readDocument({ ...settings, decoder }, NOBODY.tenant)
  const value = Buffer.from(payloadBase64, 'base64')
  if (value.length > limits.MAX_PACKET_BYTES) {
    throw new SluiceError(
      'payload_too_large',
      `${value.length} bytes, and MAX_PACKET_BYTES is ${limits.MAX_PACKET_BYTES}`,
    )
  }
  const { decoders } = registry
  const document = await inForce(decoders, asked, tenant)
  const topic = formatTelemetryTopic({ ...NOBODY, stream: streamOf(stream ?? DEFAULT_STREAM) })
  const headers = { topic, [REVISION_HEADER]: formatRevision(idOf(document), '') ?? '' }
  const record: LogRecord = {
    key: deviceKey(NOBODY.tenant, NOBODY.device),
    value,
    ms: Date.now(),
    ns: 0,
    scheme: 1,
    headers,
  }
  const table = new SeriesTable({ maxSeries: 1, uploaded })
  const find = async (ids: readonly string[]) => new Map(ids.map((id) => [id, document]))
  await learn(table, [record], { policies: { find }, decoders })
  return viewVerdict(decodeRecords([record], table), record, registry, NOBODY.device)
}

/** The document with the content in force of the uploaded decoders that it names; names of which there is none stay. */
async function inForce(
  decoders: Pick<Decoders, 'read'>,
  document: PolicyDocument,
  tenant: string | undefined,
): Promise<PolicyDocument> {
  const ids = new Map<string, string>()
  for (const { text, kind, name, id } of uploadedNamesOf(document)) {
    if (id !== undefined) continue
    const own = tenant === undefined ? undefined : await decoders.read(tenant, name)
    const found = own ?? (await decoders.read(undefined, name))
    if (found?.kind === kind) ids.set(text, found.id)
  }
  return withUploadedNames(document, (one) => {
    const id = ids.get(one.text)
    return id === undefined ? one.text : formatUploadedName(one, id)
  })
}
