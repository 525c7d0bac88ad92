import { SluiceError } from '../../shared/errors.ts'
import { overlaysOf, readPolicyFiles } from '../../shared/policies/policy-files.ts'
import type { PolicyScope } from '../../shared/policies/document.ts'
import { afterFiles, type Overlay } from '../../shared/policies/sources.ts'
import type { PolicyRevision } from '../../shared/registry/policies-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { noteDone } from './audit.ts'
import { FileOverlay, type OverlayOptions } from './file-overlay.ts'

const NOTHING: Overlay = { document: {}, places: {} }
/** Another API process that lays the same over is done after this many attempts. */
const ATTEMPTS = 5

interface Options extends OverlayOptions {
  readonly registry: Pick<Registry, 'policies' | 'audit'>
}

/**
 * Lays policies that stand in files over those that people set. Processes with the same files write it once, whoever is
 * first; the registry tells all others, and refuses changes of what is of a file. Error: `policy_invalid`, with file and
 * line.
 */
export function openPolicyOverlays(options: Options): Promise<FileOverlay<ReadonlyMap<PolicyScope, Overlay>>> {
  return FileOverlay.open(options, {
    what: 'policies',
    gauge: 'sluice_policy_files_refused',
    setting: 'POLICY_FILES',
    startsWithout: false,
    read: readPolicyFiles,
    parse: overlaysOf,
    apply: (overlays) => apply(options, overlays),
  })
}

async function apply(options: Options, overlays: ReadonlyMap<PolicyScope, Overlay>): Promise<void> {
  const inForce = new Map((await options.registry.policies.list()).map((one) => [one.scope, one]))
  const dropped = [...inForce.values()].filter(({ sources }) => Object.keys(sources?.files ?? {}).length > 0)
  for (const scope of new Set([...dropped.map((one) => one.scope), ...overlays.keys()])) {
    await lay(options, scope, overlays.get(scope) ?? NOTHING, inForce.get(scope))
  }
}

async function lay(
  { registry, logger }: Options,
  scope: PolicyScope,
  overlay: Overlay,
  before: PolicyRevision | undefined,
): Promise<void> {
  if (afterFiles(before, overlay, scope) === undefined) return
  const places = Object.values(Object.keys(overlay.places).length > 0 ? overlay.places : (before?.sources?.files ?? {}))
  const names = [...new Set(places.map((place) => place.replace(/:\d+$/, '')))]
  const who = `file ${names.join(', ')}`.slice(0, 256)
  const put = await repeat(() => registry.policies.overlay({ scope, overlay, who }))
  if (put === undefined) return
  const subject = scope ?? 'default of all tenants'
  logger.info({ scope: subject, revision: put.revision, files: names }, 'policies of files are in force')
  const detail = `revision ${put.revision}: ${JSON.stringify(put.document)}`
  await noteDone({ registry, logger }, [{ who, action: 'policies.set', subject, detail }])
}

async function repeat<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      const isLate = error instanceof SluiceError && error.code === 'policy_changed'
      if (!isLate || attempt === ATTEMPTS) throw error
    }
  }
}
