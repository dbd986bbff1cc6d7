/** A fault of one field of a message, on whichever port. */

/** Why a message was refused before any decision: HTTP 400 naming the field. */
export interface FieldError {
  /** Dotted path as the sender wrote it, for example `merchant.mcc`; '' when the body as a whole is at fault. */
  readonly field: string;
  /** What is wrong and what would be right; never repeats the value (it could be a card number). */
  readonly message: string;
  /** More fields at fault, in the order in which the schema found them. */
  readonly others?: readonly FieldError[];
}
