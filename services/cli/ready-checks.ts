/** One check of `/readyz`. */
interface Check {
  readonly name: string
  readonly ok: boolean
  readonly shared?: boolean
  readonly detail?: string
}

export function checksOf(readiness: unknown): readonly Check[] {
  return (readiness as { checks?: readonly Check[] }).checks ?? []
}

/** Shared servers that fail although the process that was asked takes work, each with why. */
export function failingServers(readiness: unknown): string[] {
  return checksOf(readiness)
    .filter(({ ok, shared }) => shared === true && !ok)
    .map(({ name, detail }) => (detail === undefined ? name : `${name}: ${detail}`))
}
