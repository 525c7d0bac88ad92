import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Registry } from '../../shared/registry/port.ts'
import type { FieldContract } from '../../shared/registry/types-port.ts'
import { contractsOf, readContractFiles } from '../../shared/types/contract-files.ts'
import { featuresOf } from '../../shared/types/meaning.ts'
import type { ApiParts } from './api.ts'
import { noteDone } from './audit.ts'
import { requireOfWorkers } from './features.ts'
import { FileOverlay, type OverlayOptions } from './file-overlay.ts'

/** Where contracts lie unless a setting says otherwise. */
const USUAL_FOLDER = fileURLToPath(new URL('../../config/contracts', import.meta.url))

interface Options extends OverlayOptions, ApiParts<'workers'> {
  readonly registry: Pick<Registry, 'declaredTypes' | 'audit'>
}

/**
 * Lays contracts over what people declared of fields: all that the files say or, while one of them is wrong, what they said
 * before. A start goes on with that, too, and says what is wrong: readings come in whatever is declared of them.
 */
export function openContractOverlays(options: Options): Promise<FileOverlay<readonly FieldContract[]>> {
  const folder = options.folder ?? (existsSync(USUAL_FOLDER) ? USUAL_FOLDER : undefined)
  return FileOverlay.open(
    { ...options, folder },
    {
      what: 'contracts',
      gauge: 'sluice_contract_files_refused',
      setting: 'CONTRACT_FILES',
      startsWithout: true,
      read: readContractFiles,
      parse: contractsOf,
      apply: (contracts) => apply(options, contracts),
    },
  )
}

async function apply(options: Options, contracts: readonly FieldContract[]): Promise<void> {
  const { registry, logger } = options
  const features = new Set(contracts.flatMap(({ meaning }) => featuresOf(meaning)))
  for (const feature of features) await requireOfWorkers(options, feature)
  const changed = await registry.declaredTypes.overlay(contracts)
  if (changed.length === 0) return
  const names = changed.map(({ tenant, stream, field }) => `${tenant}/${stream} ${field}`)
  const subject = `${changed.length} fields`
  logger.info({ fields: names.slice(0, 100), count: names.length }, 'contracts of files are in force')
  const detail = names.slice(0, 100).join(', ')
  await noteDone(options, [{ who: 'contract files', action: 'types.set', subject, detail }])
}
