/**
 * The source of a policy, whatever `policy.path` names: a folder of Rego, a bundle file, or a URL.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isUrl } from '../contract/addresses.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Edition } from '../policy/activate/activation.ts'
import { type BundleNeeds, bundleEdition, type Keeper } from '../policy/activate/bundle-edition.ts'
import { type Compile, type CompileNeeds, lookAt } from '../policy/activate/edition.ts'
import { createLastGood, type KeptBundle, type LastGood } from '../policy/bundles/last-good.ts'
import { createRemoteBundle } from '../policy/bundles/remote.ts'
import { requestBundle, shownUrl } from '../policy/bundles/request.ts'
import { type Watcher, watchPath } from '../watcher.ts'

export interface PolicySource {
  /** What it holds now, as far as is known. @throws when it cannot be read. */
  look(): Edition
  /** The last bundle of it that was in force. */
  lastGood(): Edition | undefined
  /** Asks a server what it holds; files are read when they are looked at. */
  ask(): Promise<void>
  /** @param notice - Called when the source may have changed, or a key that its bundles are verified with. */
  watch(notice: () => void): Watcher
}

export interface PolicySourceNeeds extends Omit<BundleNeeds & CompileNeeds, 'lastSequence'> {
  readonly path: string
  readonly compile: Compile
  /** Where the last good bundle is kept; without it, nowhere. */
  readonly stateFolder: string | undefined
  now(): EpochMs
  random(): number
  /** The disk did not take the last good bundle. */
  onNotKept(cause: unknown): void
}

export function openPolicySource(needs: PolicySourceNeeds): PolicySource {
  const { path, stateFolder, signature, now, onNotKept } = needs
  const kept = stateFolder === undefined ? undefined : createLastGood(stateFolder, shownSource(path))
  const bundleNeeds = { ...needs, lastSequence: () => kept?.sequence() }
  const open = isUrl(path) ? remoteSource : localSource
  const { look, ask, watch } = open(bundleNeeds, kept?.read(), etag => keeperOf(kept, now, etag, onNotKept))
  return {
    look,
    ask,
    lastGood() {
      const bundle = kept?.read()
      return bundle && bundleEdition(bundle, bundleNeeds)
    },
    watch(notice) {
      const watchers = [watch(notice), ...signature.publicKeyFile.map(file => watchPath(file, notice))]
      return { close: async () => void (await Promise.all(watchers.map(watcher => watcher.close()))) }
    },
  }
}

/** A path or URL as it may be shown and kept: without a password. */
export function shownSource(path: string): string {
  return isUrl(path) ? shownUrl(path) : path
}

type OpenSource = (
  needs: PolicySourceNeeds & BundleNeeds,
  known: KeptBundle | undefined,
  keeper: (etag?: string) => Keeper,
) => Pick<PolicySource, 'look' | 'ask' | 'watch'>

const localSource: OpenSource = (needs, _known, keeper) => ({
  look: () => lookAt({ ...needs, keeper: keeper() }),
  ask: async () => {},
  watch: notice => watchPath(needs.path, notice),
})

const remoteSource: OpenSource = (needs, known, keeper) => {
  const remote = createRemoteBundle({
    request: request => requestBundle(needs.path, request),
    now: needs.now,
    random: needs.random,
    // Given up early is as good as over.
    sleep: (ms, signal) => sleep(ms, undefined, { signal, ref: false }).catch(() => {}),
    known,
  })
  return {
    look() {
      const { archive, etag, confirmedAt } = remote.look()
      return bundleEdition({ archive, confirmedAt, keeper: keeper(etag) }, needs)
    },
    ask: remote.ask,
    watch(notice) {
      remote.follow(notice)
      return { close: async () => remote.close() }
    },
  }
}

/** A full disk takes nothing out of force: it is only told. */
function keeperOf(
  kept: LastGood | undefined,
  now: () => EpochMs,
  etag: string | undefined,
  onNotKept: (cause: unknown) => void,
): Keeper {
  const attempt = (work: () => void): void => {
    try {
      work()
    } catch (cause) {
      onNotKept(cause)
    }
  }
  return {
    accepted: bundle => attempt(() => kept?.keep({ ...bundle, confirmedAt: now(), etag })),
    confirmed: at => attempt(() => kept?.confirm(at)),
  }
}
