/** The database cannot be used now, through no fault of what was asked of it; the same may succeed later. Nothing of it was lost. */
export class StoreUnavailable extends Error {
  override readonly name: string = 'StoreUnavailable';
}
