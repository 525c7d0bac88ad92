import Type from 'typebox'
import { MAX_RECIPIENTS, recipientOf } from '../../../shared/backup/envelope.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'

const Asked = Type.Object(
  {
    recipients: Type.Optional(
      Type.Array(Type.String({ description: 'An X25519 public key: 32 bytes, base64url.' }), {
        maxItems: MAX_RECIPIENTS,
        description: 'Whoever has the private key of one of them can open the backup.',
      }),
    ),
    plain: Type.Optional(
      Type.Boolean({ description: 'Anybody can open the backup: it holds the keys that logins are checked with.' }),
    ),
  },
  { additionalProperties: false },
)

/** A backup of a standalone Sluice while it runs. */
export function backupRoute(app: Api, options: ApiParts<'registry' | 'backup'>): void {
  app.post(
    '/backup',
    {
      schema: {
        tags: ['operation'],
        summary: 'Back everything up',
        description:
          'One file, as `./sluice restore` takes it, of a standalone Sluice: all that was acknowledged before the request is in it. It is whole only when its end has come. For API keys only.',
        body: Asked,
        response: {
          200: { description: 'The file.', content: { 'application/octet-stream': { schema: Type.Any() } } },
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { backup } = options
      if (backup === undefined) {
        const text = 'in a cluster MariaDB, Kafka, InfluxDB and Redis are backed up by their own means: docs/deploy.md'
        throw new SluiceError('unsupported', text)
      }
      const { recipients = [], plain = false } = request.body
      if (plain === recipients.length > 0) {
        throw new SluiceError('bad_request', 'name recipients, or say that the backup is to be plain')
      }
      const keys = recipients.map(recipientOf)
      await recordAction(options, request, 'backup', 'everything', plain ? 'plain' : `for ${recipients.join(', ')}`)
      const bytes = await backup(keys)
      return reply.type('application/octet-stream').send(bytes)
    },
  )
}
