import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { SluiceError } from '../../shared/errors.ts'

interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly message: string
  readonly params: object
}

/**
 * Checks parameters and bodies. Of query parameters, which arrive as text, those declared whole numbers are read as
 * such, one of a declared list is a list, and absent ones get their default. Nothing else is converted: `limit=1.5` and `limit=true` are errors.
 * Error: `bad_request`, naming the first field that is wrong.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema)
  const properties = 'properties' in schema ? Object.entries(schema.properties as Record<string, TSchema>) : []
  return (input: unknown) => {
    const value = httpPart === 'querystring' ? readQuery(properties, input as Record<string, unknown>) : input
    if (validator.Check(value)) return { value }
    const errors = validator.Errors(value) as unknown as SchemaError[]
    return { error: new SluiceError('bad_request', describe(errors, httpPart ?? 'request')) }
  }
}

function readQuery(properties: readonly [string, TSchema][], query: Record<string, unknown>): Record<string, unknown> {
  const read: Record<string, unknown> = { ...query }
  for (const [name, schema] of properties) {
    const value = query[name]
    const declared = schema as { type?: unknown; default?: unknown }
    if (value === undefined && declared.default !== undefined) read[name] = declared.default
    if (declared.type === 'array' && typeof value === 'string') read[name] = [value]
    if (declared.type === 'integer' && typeof value === 'string' && /^\d{1,15}$/.test(value)) read[name] = Number(value)
  }
  return read
}

function describe(errors: readonly SchemaError[], part: string): string {
  // "false" is how a schema says that a property is not in it; the next error names the property.
  const error = errors.find((candidate) => candidate.keyword !== 'boolean') ?? errors[0]
  if (error === undefined) return `The ${part} does not match its description in /docs.`
  const path = error.instancePath.slice(1).replaceAll('/', '.')
  const where =
    part === 'querystring' ? `parameter "${path}"` : path === '' ? `The ${part}` : `"${path}" in the ${part}`
  const params = error.params as { additionalProperties?: string[]; allowedValues?: unknown[] }
  if (params.additionalProperties !== undefined) {
    const names = params.additionalProperties.map((name) => `"${name.slice(0, 64)}"`).join(', ')
    return `${part === 'querystring' ? 'The query' : where} has no ${names}; see /docs.`
  }
  const allowed = params.allowedValues === undefined ? '' : `: ${params.allowedValues.join(', ')}`
  return `${where} ${error.message}${allowed}`
}
