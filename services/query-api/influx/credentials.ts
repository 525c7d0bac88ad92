import type { FastifyRequest } from 'fastify'

/**
 * The token that a client of InfluxDB presents, in one of the ways of its versions: `Authorization: Token`, `Bearer` or `Basic`
 * (the token is the password), or the parameters `u` and `p`; undefined where there is none. A token that stands alone in the
 * place of the username is one, too.
 */
export function presentedToken({ headers, query }: FastifyRequest): string | undefined {
  const [, scheme = '', rest = ''] = /^(\w+) +(\S+) *$/.exec(headers.authorization ?? '') ?? []
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return rest
    case 'token':
      return passwordIn(rest)
    case 'basic':
      return passwordIn(Buffer.from(rest, 'base64').toString('utf8'))
    default: {
      const { u, p } = query as Record<string, unknown>
      return textOf(p) ?? textOf(u)
    }
  }
}

/** Of `username:password`, or of one of the two. */
function passwordIn(text: string): string | undefined {
  const colon = text.indexOf(':')
  return textOf(text.slice(colon + 1)) ?? textOf(text.slice(0, Math.max(0, colon)))
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
