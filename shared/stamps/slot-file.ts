import { readFileSync } from 'node:fs'
import { SluiceError, toSluiceError } from '../errors.ts'
import { fileFault } from '../storage/storage-fault.ts'
import { replaceFile } from '../storage/replace-file.ts'
import { NEW_SLOT, readSlotState, writeSlotState, type HeldSlot, type SlotState } from './slot.ts'

/**
 * The slot of a process that has the data folder to itself: always slot 0, its state in a file. Errors: `data_corrupt`,
 * `data_unwritable`; saving: `data_unwritable`, `disk_full`.
 */
export function openSlotFile(file: string): HeldSlot {
  const save = async (state: SlotState): Promise<void> => write(file, `${writeSlotState(state)}\n`)
  const state = read(file)
  return { slot: 0, state, isAbandoned: false, mayStamp: () => true, keep: async () => undefined, save, giveBack: save }
}

function read(file: string): SlotState {
  const text = readIfThere(file)
  if (text === undefined) return NEW_SLOT
  const state = readSlotState(text)
  if (state === undefined) throw new SluiceError('data_corrupt', `${file} is not what was written`)
  return state
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw unwritable(file, error)
  }
}

/** The new text or the old one, whatever happens; durable on return. */
function write(file: string, text: string): void {
  try {
    replaceFile(file, text, 0o600)
  } catch (error) {
    throw unwritable(file, error)
  }
}

function unwritable(file: string, error: unknown): SluiceError {
  return new SluiceError(fileFault(error), `${file}: ${toSluiceError(error).message}`, { cause: error })
}
